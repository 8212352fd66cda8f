"""psycopg and psycopg2 beyond ``test_stacks``: sources of bounds, C classes, reconnection."""

from __future__ import annotations

import json
import textwrap
from typing import Any, TYPE_CHECKING

import pytest

import peers
from programs import PROGRAMS, armed_environment, clean_environment, drive, python
from parts import need
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

LENIENT = {"OPENSSL_CONF": str(PROGRAMS / "lenient.cnf")}

#: A bound that is asked for, a peer, whether it is reached without a floor, and with 1.2.
CASES = [
    (("min", "TLSv1", "1.1"), True, False),
    (("min", "TLSv1", "1.2"), True, True),
    (("min", "TLSv1.3", "1.2"), False, False),
    (("max", "TLSv1.1", "1.2"), False, True),
    (("max", "TLSv1.2", "1.2"), True, True),
    (("min", "nonsense", "1.2"), False, False),
]

#: Where libpq does not take a value from the program but finds it, nonsense becomes the floor.
FOUND = ("environment", "service", "PGSERVICE")


NO_MINIMUM = "the libpq of {} cannot be held to a floor: it knows no ssl_min_protocol_version"
UNFIT = "the guard does not fit <module '{}'"


def postgres(version: str) -> handshakes.ServerPeer:
    """Return a peer that speaks as PostgreSQL does."""
    return handshakes.ServerPeer(FLOORS[version], "rsa", **peers.PROTOCOLS["POSTGRES"])


def run(code: str, *args: str, floor: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a few lines, in a process that starts armed if a floor is given."""
    env = armed_environment(floor, **LENIENT) if floor else clean_environment(**LENIENT)
    return python("-c", textwrap.dedent(code), *args, env=env)


def told(code: str, *args: str, floor: str | None = None) -> Any:
    """Run a few lines, and return what they print."""
    done = run(code, *args, floor=floor)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("driver", ["binary", "python", "psycopg2"])
def test_a_bound_below_is_raised_and_a_stricter_one_stays(driver: str, tmp_path: Path) -> None:
    need("psycopg2" if driver == "psycopg2" else "psycopg_binary")
    with postgres("1.1") as old, postgres("1.2") as new:
        job = {
            "driver": driver,
            "ports": {"1.1": old.port, "1.2": new.port},
            "ca": handshakes.CA_FILE,
            "service file": str(tmp_path / "pg_service.conf"),
            "cases": [case for case, _, _ in CASES],
        }
        without = drive("libpq_sources", "none", "", job)
        held = drive("libpq_sources", "late", "1.2", job)
    for case in held:
        source, _, rest = case.partition(" ")
        for (bound, version, peer), control, expected in CASES:
            if rest == f"{bound}={version}: {peer}":
                assert (without[case] == "reached") == control, (case, without[case])
                nonsense = version == "nonsense" and source in FOUND
                assert (held[case] == "reached") == (expected or nonsense), (case, held[case])
    assert len(held) == 6 * len(CASES)


@pytest.mark.parametrize(
    "make",
    [
        "psycopg.pq.PGconn.connect(dsn.encode())",
        "psycopg.pq.PGconn.ping(dsn.encode())",
        "psycopg.pq.PGconn.connect(bytearray(dsn.encode()))",
        "poll(psycopg.pq.PGconn.connect_start(dsn.encode()))",
        "psycopg2.extensions.connection(dsn)",
        "kept(dsn)  # of psycopg2",
        "psycopg2.connect(dsn, connection_factory=psycopg2.extras.LoggingConnection)",
        "psycopg2.extras.DictConnection(dsn=dsn)",
        "psycopg2.extras.LogicalReplicationConnection(dsn)",
        "poll(psycopg2.connect(dsn, async_=True))",
    ],
)
def test_every_way_to_connect_is_held(make: str) -> None:
    driver = "psycopg2" if "psycopg2" in make else "psycopg"
    need(driver)
    code = """
        import json, sys, tlsfloor, {driver}, time
        if "{driver}" == "psycopg2":
            import psycopg2.extras
            from psycopg2.extensions import connection as kept
        def poll(made):
            while getattr(made, "connect_poll", getattr(made, "poll", None))() in (1, 2):
                time.sleep(0.01)
            return made
        dsn = f"host=localhost port={{sys.argv[1]}} user=u sslmode=require"
        dsn += " ssl_min_protocol_version=TLSv1"
        if sys.argv[2:]:
            tlsfloor.enforce("1.2")
        try:
            made = {make}
            print(json.dumps("it came to an end"))
        except {driver}.OperationalError as error:
            print(json.dumps(str(error)))
    """.format(driver=driver, make=make)
    with postgres("1.1") as peer:
        told(code, str(peer.port))
        assert any(seen.version for seen in peer.seen), "without the floor it is reached"
    with postgres("1.1") as peer:
        told(code, str(peer.port), "late")
        assert peer.seen
        assert not any(seen.version for seen in peer.seen)


def test_the_guard_is_in_the_status_and_counts() -> None:
    need("psycopg", "psycopg2")
    code = """
        import json, psycopg, psycopg2, tlsfloor
        from tlsfloor.floor import counts
        for asked in ("TLSv1", "TLSv1.2", "TLSv1.3", ""):
            for connect in (psycopg.connect, psycopg2.connect):
                try:
                    connect(host="/nowhere", ssl_min_protocol_version=asked)
                except (psycopg.OperationalError, psycopg2.OperationalError):
                    pass
        found = tlsfloor.status()
        print(json.dumps([found.held, found.stacks, counts, found.below]))
    """
    held, stacks, counts, below = told(code, floor="1.2")
    assert held
    assert stacks["psycopg"] == stacks["psycopg2"] == "guarded"
    assert (counts["clamped"], counts["raised"]) == (2, 2)
    assert below == []


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_driver_that_is_imported_again_is_held(driver: str) -> None:
    need(driver)
    code = """
        import importlib, json, sys, {driver}
        for name in [name for name in sys.modules if name.startswith("psycopg")]:
            del sys.modules[name]
        {driver} = importlib.import_module("{driver}")
        low = f"host=localhost port={sys.argv[1]} user=u sslmode=require"
        try:
            {driver}.connect(low, ssl_min_protocol_version="TLSv1")
            print('"it connected"')
        except Exception as error:  # the C module keeps the classes of the first import
            print(json.dumps(str(error)))
    """.replace("{driver}", driver)
    with postgres("1.1") as peer:
        assert told(code, str(peer.port)) == "it connected"
        assert "protocol version" in told(code, str(peer.port), floor="1.2")


def test_a_removed_gate_is_seen() -> None:
    need("psycopg2")
    code = """
        import json, psycopg2, tlsfloor
        psycopg2._connect = psycopg2._connect.__wrapped__
        print(json.dumps(tlsfloor.status().problems))
    """
    assert told(code, floor="1.2") == ["psycopg2: psycopg2._connect was replaced"]


def test_a_higher_floor_is_obeyed() -> None:
    need("psycopg", "psycopg2")
    code = """
        import json, psycopg, psycopg2, psycopg2.extras, tlsfloor
        from psycopg2.extensions import connection as kept
        real = [psycopg2.extensions.connection]
        for floor in ("1.2", "1.2", "1.3", "1.2"):
            found = tlsfloor.enforce(floor)
            assert found.stacks["psycopg"] == found.stacks["psycopg2"] == "guarded"
            assert found.held
        assert kept is psycopg2.extensions.connection is not real[0]
        try:
            psycopg2.connect("host=/nowhere ssl_min_protocol_version=nonsense")
        except psycopg2.OperationalError as error:
            assert "nonsense" in str(error)
        shown = []
        psycopg2._connect("host=/nowhere", connection_factory=lambda dsn: shown.append(dsn))
        print(json.dumps(shown))
    """
    assert told(code) == ["host='/nowhere' ssl_min_protocol_version='TLSv1.3'"]


def test_an_older_connection_is_reported_and_does_not_reconnect() -> None:
    need("psycopg", "psycopg2")
    code = """
        import json, sys, psycopg, psycopg2, tlsfloor
        dsn = f"host=localhost port={sys.argv[1]} user=u sslmode=require"
        low = dsn + " ssl_min_protocol_version=TLSv1"
        old = [psycopg.connect(low), psycopg2.connect(low)]
        closed = [psycopg.connect(low), psycopg2.connect(low)]
        for each in closed:
            each.close()
        below = tlsfloor.enforce("1.2").below
        assert isinstance(old[1], psycopg2.extensions.connection)
        old[0]._should_cancel = lambda: True
        try:
            old[0].cancel_safe()
        except OSError as error:
            refused = str(error)
        print(json.dumps([below, refused]))
    """
    with postgres("1.1") as peer:
        below, refused = told(code, str(peer.port))
    assert [each.partition(":")[0] for each in below] == [
        "connection with a minimum below the floor",
        "TLSv1.1 connection",
    ]
    assert "this connection is older than the floor" in refused


def test_with_threads_older_connections_are_not_searched_for() -> None:
    need("psycopg2")
    code = """
        import json, psycopg2, threading, tlsfloor
        stop = threading.Event()
        threading.Thread(target=stop.wait).start()
        below = tlsfloor.enforce("1.2").below
        stop.set()
        print(json.dumps(below))
    """
    (text,) = told(code)
    assert text.startswith("perhaps connections of psycopg2: ")
    assert (
        told("import json, psycopg2, tlsfloor; print(json.dumps(tlsfloor.enforce('1.2').below))")
        == []
    )


#: What takes something from a driver: a libpq that knows no minimum, or a version made up.
CHANGES = [
    ("psycopg", "pq.Conninfo = type('Conninfo', (), {'parse': refuse})", NO_MINIMUM),
    ("psycopg2", "_psycopg.parse_dsn = refuse", NO_MINIMUM),
    ("psycopg", "del generators.connect", UNFIT),
    ("psycopg", "del pq.PGconn", UNFIT),
    ("psycopg2", "del _psycopg._connect", UNFIT),
    ("psycopg2", "del _psycopg.connection", UNFIT),
]


@pytest.mark.parametrize(("driver", "change", "problem"), CHANGES)
def test_a_version_without_what_is_needed_is_refused(
    driver: str, change: str, problem: str, tmp_path: Path
) -> None:
    need(driver)
    package = tmp_path / driver
    package.mkdir()
    (package / "__init__.py").write_text(
        textwrap.dedent(f"""
            import os, sys
            own = os.path.dirname(__file__)
            for folder in sys.path:
                __file__ = os.path.join(folder, "{driver}", "__init__.py")
                if os.path.exists(__file__) and os.path.dirname(__file__) != own:
                    break
            __path__ = [os.path.dirname(__file__)]
            with open(__file__, encoding="utf-8") as file:
                exec(compile(file.read(), __file__, "exec"))

            def refuse(given):
                error = OperationalError if "{driver}" == "psycopg" else ProgrammingError
                raise error(f"invalid connection option {{given}}")

            {change}
        """)
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {driver}"
    assert run(code).returncode == 0
    done = run(code, floor="1.2")
    assert done.returncode == 1
    assert "ImportError: tlsfloor: error: " in done.stderr
    assert problem.format(driver) in done.stderr.splitlines()[-1]
