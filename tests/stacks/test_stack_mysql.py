"""MySQL's and MariaDB's C clients beyond ``test_stacks``: option files, late floors, versions."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

import peers
from programs import armed_environment, clean_environment, python
from parts import need
from tlsfloor.stacks import _mysql_options
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS

FUTURE = {
    # A module of Python: nothing is linked to it.
    "MySQLdb._mysql": ("class connection: pass", "is uncovered: it is not a library"),
    "mariadb._mariadb": (
        "import _ctypes; __file__ = _ctypes.__file__",
        "is uncovered: it is not linked to a libmariadb",
    ),
    "_mysql_connector": (
        """
class MySQL:
    get_client_info = lambda self: "99.0.0"
    def connect(self, *, host, port): pass
""",
        "this version of mysql-connector-python cannot be held to a floor: ",
    ),
}

OLD = "class MySQL:\n get_client_info = lambda self: '8.0.27'"

LINES = {
    "MySQLdb": """
import MySQLdb.connections
def make(**more):
    return MySQLdb.connect(host="127.0.0.1", port=port, user="me",
        ssl={"ca": ca}, ssl_mode="VERIFY_CA", **more)
def again(connection):
    connection.ping(True)
""",
    "mariadb": """
import mariadb
def make(**more):
    return mariadb.connect(host="127.0.0.1", port=port, user="me", ssl=True, ssl_ca=ca, **more)
def again(connection):
    connection.reconnect()
""",
}


def run(code: str, name: str, *, floor: str = "1.2", env: dict[str, str] | None = None) -> Any:
    """Run code in a process that knows of a peer of version ``name``; return what it printed.

    ``say`` prints; ``says`` is how a connection comes out.
    """
    head = f"""
import json, sys, tlsfloor, warnings
warnings.simplefilter("ignore")
port, ca, floor = int(sys.argv[1]), sys.argv[2], {floor!r}
def say(what):
    print(json.dumps(what))
def says(call, *args, **kwargs):
    try:
        call(*args, **kwargs).close()
    except Exception as error:
        return f"{{type(error).__name__}}: {{error}}"
    return "connected"
"""
    with handshakes.ServerPeer(FLOORS[name], **peers.MYSQL) as server:
        done = python("-c", head + code, str(server.port), handshakes.CA_FILE, env=env)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def refused(text: str) -> bool:
    return "protocol version" in text or "UNSUPPORTED_PROTOCOL" in text


@pytest.mark.parametrize("name", FUTURE)
def test_a_version_that_lacks_what_is_needed_is_not_imported(name: str, tmp_path: Path) -> None:
    source, problem = FUTURE[name]
    done = import_of(name, source, tmp_path)
    assert done.returncode == 1
    assert "ImportError" in done.stderr
    assert problem in done.stderr


def test_a_libmysqlclient_that_is_too_old_is_uncovered(tmp_path: Path) -> None:
    done = import_of("_mysql_connector", OLD, tmp_path)
    assert done.returncode == 1
    assert "is uncovered: its libmysqlclient 8.0.27 is older than 8.0.28" in done.stderr


@pytest.mark.parametrize(
    ("version", "new"),
    [
        ("8.0.27", False),
        ("8.0.28", True),
        ("8.0.36-28", True),  # Percona's
        ("8.0.26-16", False),
        ("8.4.0-commercial", True),
        ("9.1.0-dmr-log", True),
        ("5.7.44-48-log", False),
        ("10.0.0rc1", True),
        ("8.1", False),  # that is no whole version
        ("", False),
        ("MariaDB", False),
        ("-1.2.3", False),
    ],
)
def test_the_version_of_libmysqlclient_is_parsed(version: str, new: bool, tmp_path: Path) -> None:
    assert _mysql_options.is_new(version) == new
    done = import_of("_mysql_connector", OLD.replace("8.0.27", version), tmp_path)
    assert done.returncode == 1
    assert ("is uncovered: its libmysqlclient " not in done.stderr) == new
    assert "ValueError" not in done.stderr


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
def test_mysqls_own_library_instead_of_libmariadb_is_inherent_at_1_2(
    floor: str, tmp_path: Path
) -> None:
    need("_mysql_connector")
    spec = importlib.util.find_spec("_mysql_connector")
    assert spec is not None
    source = f"import _mysql_connector; __file__ = {spec.origin!r}"
    done = import_of("MySQLdb._mysql", source, tmp_path, floor)
    if floor == "1.2":
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "inherent"
    else:
        assert "is uncovered: it is not linked to a libmariadb" in done.stderr


def import_of(name: str, source: str, folder: Path, floor: str = "1.2") -> Any:
    file = folder.joinpath(*name.split(".")).with_suffix(".py")
    file.parent.mkdir(exist_ok=True)
    (file.parent / "__init__.py").touch()
    file.write_text(source)
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import {name}, tlsfloor\n"
    code += f"print(tlsfloor.status().stacks[{name!r}])"
    return python("-c", code, env=armed_environment(floor))


@pytest.mark.parametrize("driver", LINES)
def test_a_list_of_versions_stricter_than_the_floor_is_kept(driver: str, tmp_path: Path) -> None:
    need(driver)
    file = tmp_path / "my.cnf"
    file.write_text("[mine]\ntls-version=TLSv1.3\n")
    argument = {"MySQLdb": "read_default_", "mariadb": "default_"}[driver]
    more = {f"{argument}file": str(file), f"{argument}group": "mine"}
    code = (
        LINES[driver] + f"tlsfloor.enforce(floor)\nsay(says(make))\nsay(says(make, **{more!r}))\n"
    )
    connected, strict = run(code, "1.2")
    assert connected == "connected"
    assert refused(strict)


def test_the_usual_option_files_are_read_if_only_a_group_is_given(tmp_path: Path) -> None:
    need("MySQLdb")
    (tmp_path / ".my.cnf").write_text("[mine]\ntls-version=TLSv1.0,TLSv1.1\n")
    code = LINES["MySQLdb"] + (
        "say(says(make))\n"
        "tlsfloor.enforce(floor)\n"
        "say(says(make, read_default_group='mine'))\n"
        "say(tlsfloor.status().counts['clamped'])\n"
    )
    assert run(code, "1.0", env=clean_environment(HOME=str(tmp_path)))[0] == "connected"
    _without, told, clamped = run(code, "1.0", env=clean_environment(HOME=str(tmp_path)))
    assert refused(told)
    assert clamped == 1


def test_without_files_in_memory_a_pipe_is_used(tmp_path: Path) -> None:
    need("MySQLdb")
    file = tmp_path / "my.cnf"
    file.write_text("[client]\ntls-version=TLSv1.0\n")
    code = LINES["MySQLdb"] + (
        "import os\n"
        "if hasattr(os, 'memfd_create'): del os.memfd_create\n"
        "tlsfloor.enforce(floor)\n"
        f"say(says(make, read_default_file={str(file)!r}))\n"
    )
    assert run(code, "1.2") == ["connected"]
    (told,) = run(code, "1.0")
    assert refused(told)


def test_positional_arguments_are_held(tmp_path: Path) -> None:
    need("MySQLdb")
    file = tmp_path / "my.cnf"
    file.write_text(f"[client]\nssl-ca={handshakes.CA_FILE}\nssl-enforce=1\ntls-version=TLSv1.1\n")
    call = (
        "say(says(_mysql.connect, '127.0.0.1', 'me', '', '', port, '', {}, 9, 0, 0, '', "
        f"{str(file)!r}))\n"
    )
    code = "from MySQLdb import _mysql\n" + call + "tlsfloor.enforce(floor)\n" + call
    without, told = run(code, "1.1")
    assert without == "connected"
    assert refused(told)


@pytest.mark.parametrize("name", ["a\nb.cnf", "a\n[client.cnf", "x" * 5000])
def test_an_option_file_that_cannot_be_included_is_refused(name: str) -> None:
    need("MySQLdb")
    code = LINES["MySQLdb"] + (
        f"tlsfloor.enforce(floor)\nsay(says(make, read_default_file={name!r}))\n"
    )
    (told,) = run(code, "1.0")
    assert told.startswith("ProtocolRefused")


def test_a_host_that_is_for_a_plugin_of_libmariadb_is_refused() -> None:
    need("MySQLdb")
    call = "MySQLdb.connect, host='replication://127.0.0.1'"
    (told,) = run(LINES["MySQLdb"] + f"tlsfloor.enforce(floor)\nsay(says({call}))\n", "1.0")
    assert told.startswith("ProtocolRefused")


@pytest.mark.parametrize("driver", LINES)
def test_an_older_connection_is_reported_and_does_not_reconnect(driver: str) -> None:
    need(driver)
    code = LINES[driver] + (
        "other = make()\n"
        "again(other)\n"
        "other.close()\n"
        "del other\n"
        "old = make()\n"
        "if hasattr(old, 'auto_reconnect'): old.auto_reconnect = True\n"
        "status = tlsfloor.enforce('1.2')\n"
        "say(len(status.below))\n"
        "say(getattr(old, 'auto_reconnect', False))\n"
        "say(says(again, old))\n"
        "old.close()\n"
        "say(tlsfloor.status().below)\n"
    )
    named, reconnects, told, afterwards = run(code, "1.0")
    assert (named, reconnects, afterwards) == (1, False, [])
    assert told.startswith("ProtocolRefused")


@pytest.mark.parametrize("driver", LINES)
def test_a_second_and_higher_floor_holds(driver: str) -> None:
    need(driver)
    code = LINES[driver] + (
        "module = sys.modules['MySQLdb._mysql' if 'MySQLdb' in globals() else 'mariadb._mariadb']\n"
        "tlsfloor.enforce('1.2')\n"
        "first = module.connection\n"
        "tlsfloor.enforce('1.2')\n"
        "say(says(make))\n"
        "status = tlsfloor.enforce('1.3')\n"
        "say([status.held, status.stacks[module.__name__], module.connection is first])\n"
        "say(says(make))\n"
    )
    connected, facts, told = run(code, "1.2")
    assert connected == "connected"
    assert facts == [True, "guarded", True]
    assert refused(told)


def test_the_extension_of_mysql_connector_obeys_a_higher_floor() -> None:
    need("_mysql_connector")
    code = (
        "import _mysql_connector as module\n"
        "import mysql.connector\n"
        "def make():\n"
        "    return mysql.connector.connect(host='127.0.0.1', port=port, user='me', ssl_ca=ca,\n"
        "        ssl_verify_cert=True, use_pure=False)\n"
        "old = make()\n"
        "tlsfloor.enforce('1.2')\n"
        "say(says(make))\n"
        "status = tlsfloor.enforce('1.3')\n"
        "say([status.held, status.stacks['_mysql_connector'], len(status.below)])\n"
        "say(says(make))\n"
        "say(says(old.reconnect, attempts=1))\n"
    )
    connected, facts, told, again = run(code, "1.2")
    assert connected == "connected"
    assert facts == [True, "guarded", 1]
    assert refused(told)
    assert refused(again)


def test_lower_versions_asked_of_the_extension_are_clamped_and_plain_text_is_allowed() -> None:
    need("_mysql_connector")
    code = (
        "import _mysql_connector\n"
        "tlsfloor.enforce('1.3')\n"
        "def make(**more):\n"
        "    made = _mysql_connector.MySQL()\n"
        "    made.connect(host='127.0.0.1', port=port, user='me', ssl_ca=ca, **more)\n"
        "    return made\n"
        "say(says(make, ssl_disabled=False, tls_versions='TLSv1.1'))\n"
        "say(says(make, ssl_disabled=False))\n"
        "say({name: tlsfloor.status().counts[name] for name in ('clamped', 'raised')})\n"
        "say(says(make, ssl_disabled=True))\n"
    )
    less, default, counts, plain = run(code, "1.3")
    assert (less, default) == ("connected", "connected")
    assert counts == {"clamped": 1, "raised": 1}
    # The peer takes TLS only: it leaves who speaks without.
    assert "Lost connection" in plain
