"""awscrt beyond ``test_stacks``: contexts older than the floor, and contexts that C code makes."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from programs import PROGRAMS, armed_environment, clean_environment, python
from parts import need
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS

PROLOGUE = """
import json, os, sys
from awscrt import auth, http, io, mqtt5, s3
PORT, CA = int(sys.argv[1]), sys.argv[2]
def context(minimum=io.TlsVersion.DEFAULT, preference=io.TlsCipherPref.DEFAULT):
    options = io.TlsContextOptions()
    options.override_default_trust_store_from_path(None, CA)
    options.min_tls_ver, options.cipher_pref = minimum, preference
    return io.ClientTlsContext(options)
def connect(options, proxy=None):
    options.set_server_name("localhost")
    return http.HttpClientConnection.new(
        "localhost", PORT, tls_connection_options=options, proxy_options=proxy).result(10)
def get():
    request = http.HttpRequest("GET", "/", http.HttpHeaders([("host", f"localhost:{PORT}")]))
    sys.path.insert(0, sys.argv[3])
    import s3_retries
    client = s3.S3Client(region="us-east-1", **s3_retries.few())
    return client.make_request(
        type=s3.S3RequestType.DEFAULT, operation_name="GetObject", request=request
    ).finished_future.result(10)
def attempt(function, *args):
    try:
        function(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "done"
"""
LATE = "import tlsfloor; tlsfloor.enforce('1.2')\n"


def run(snippet: str, version: str = "1.0", floor: str = "", **env: str) -> tuple[Any, list[Any]]:
    """Run a snippet against a peer; return its JSON, and the versions that the peer saw."""
    need("awscrt")
    with handshakes.ServerPeer(FLOORS[version], "ecdhe") as peer:
        names = {name: text.format(port=peer.port) for name, text in env.items()}
        environment = armed_environment(floor, **names) if floor else clean_environment(**names)
        args = ["-c", PROLOGUE + snippet, str(peer.port), handshakes.CA_FILE, str(PROGRAMS)]
        done = python(*args, env=environment)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout.splitlines()[-1])
        return said, [seen.version for seen in peer.seen if seen.version]


OLDER = {
    "context": ("made = context()", "connect(made.new_connection_options())"),
    "options": ("made = context().new_connection_options()", "connect(made)"),
    "proxy": (
        (
            "options = context().new_connection_options(); "
            "made = http.HttpProxyOptions('localhost', PORT, tls_connection_options=options)"
        ),
        "connect(context().new_connection_options(), made)",
    ),
    "mqtt5": (
        "made = mqtt5.Client(mqtt5.ClientOptions('localhost', PORT, tls_ctx=context()))",
        "made.start()",
    ),
    "s3": (
        "made = s3.S3Client(region='us-east-1')",
        (
            "made.make_request(type=s3.S3RequestType.DEFAULT, operation_name='GetObject', "
            "request=http.HttpRequest('GET', '/'))"
        ),
    ),
    "provider": (
        "made = auth.AwsCredentialsProvider.new_default_chain()",
        "made.get_credentials().result(10)",
    ),
}


@pytest.mark.parametrize("what", OLDER)
def test_an_object_older_than_the_floor_is_refused_at_its_use(what: str) -> None:
    before, use = OLDER[what]
    said, seen = run(f"{before}\n{LATE}print(json.dumps(attempt(lambda: {use})))")
    assert said.startswith("ProtocolRefused: "), said
    assert "made before the floor was armed" in said
    assert not seen


def test_an_open_connection_is_reported() -> None:
    said, seen = run(
        f"made = connect(context().new_connection_options())\n{LATE}"
        "first = tlsfloor.status().below\nmade.close().result(10)\n"
        "print(json.dumps([first, tlsfloor.status().below]))"
    )
    assert len(said[0]) == 1
    assert "HttpClientConnection" in said[0][0]
    assert said[1] == []
    assert seen == [FLOORS["1.0"]]


CREDENTIALS = (
    "print(json.dumps(attempt("
    "lambda: auth.AwsCredentialsProvider.new_default_chain().get_credentials().result(10))))"
)


def test_providers_that_make_a_context_in_c_are_refused(tmp_path: Any) -> None:
    env = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "https://localhost:{port}/",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SSL_CERT_FILE": handshakes.CA_FILE,
        "HOME": str(tmp_path),
    }
    said, seen = run(CREDENTIALS, **env)
    assert FLOORS["1.0"] in seen, said
    said, seen = run(CREDENTIALS, floor="1.2", **env)
    assert said.startswith("ProtocolRefused: ")
    assert "new_delegate" in said
    assert not seen


def test_s3_through_a_proxy_over_tls_is_refused() -> None:
    env = {"HTTPS_PROXY": "https://localhost:{port}", "SSL_CERT_FILE": handshakes.CA_FILE}
    snippet = "print(json.dumps(attempt(get)))"
    _said, seen = run(snippet, **env)
    assert FLOORS["1.0"] in seen, "the control"
    said, seen = run(snippet, floor="1.2", **env)
    assert said.startswith("ProtocolRefused: ")
    assert "HTTPS_PROXY" in said
    assert not seen


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
def test_a_preference_that_allows_less_is_not_used(floor: str) -> None:
    snippet = (
        "import tlsfloor; print(json.dumps([attempt(lambda: connect("
        "context(preference=each).new_connection_options())) for each in io.TlsCipherPref]))"
    )
    below = "1.1" if floor == "1.2" else "1.2"
    if floor == "1.3":
        said, seen = run(snippet, below)
        assert "done" in said, "the control"
        assert seen
    said, seen = run(snippet, below, floor)
    assert "done" not in said
    assert not seen
    said, seen = run(snippet, floor, floor)
    assert set(said) == {"done"}
    assert seen


#: Preferences by their numbers, also those that this version of awscrt has no name for.
PREFERENCE = """
class Preference:
    def __init__(self, value):
        self.value = value
print(json.dumps([attempt(lambda: connect(
    context(preference=Preference(int(each))).new_connection_options())) for each in sys.argv[4:]]))
"""


def offered(preference: int, floor: str, version: str = "1.2") -> tuple[list[int], str, str]:
    """Return the suites that a preference offers, the outcome, and the lines on stderr."""
    need("awscrt")
    with handshakes.ServerPeer(FLOORS[version], "ecdhe") as peer:
        args = ["-c", PROLOGUE + PREFERENCE, str(peer.port), handshakes.CA_FILE, str(PROGRAMS)]
        env = armed_environment(floor) if floor else clean_environment()
        done = python(*args, str(preference), env=env)
        assert done.returncode == 0, done.stderr
        suites = [seen.offered.cipher_suites for seen in peer.seen if seen.offered]
        return list(suites[0]) if suites else [], json.loads(done.stdout)[0], done.stderr


@pytest.mark.parametrize("preference", [7, 8, 9])
def test_a_preference_at_or_above_the_floor_is_kept(preference: int) -> None:
    asked, said, _ = offered(preference, "")
    assert said == "done", "the control"
    assert offered(preference, "1.2") == (asked, "done", "")
    if preference == 9:  # the others differ from the default in more than suites
        assert asked != offered(0, "1.2")[0]


@pytest.mark.parametrize(
    ("preference", "floor", "allows"),
    [
        (9, "1.3", "TLSv1_2_2025_07 allows TLS 1.2"),
        (8, "1.3", "PQ_DEFAULT allows TLS 1.2"),
        (6, "1.2", "PQ_TLSv1_0_2021_05 allows TLS 1.0"),
        (10, "1.2", "10 allows TLS 1.0"),
        (11, "1.1", "11 allows TLS 1.0"),
        (99, "1.0", "99 allows an unknown version"),
    ],
)
def test_a_preference_below_the_floor_is_reported_on_stderr(
    preference: int, floor: str, allows: str
) -> None:
    suites, said, talk = offered(preference, floor, "1.3")
    assert (suites, said) == (offered(0, floor, "1.3")[0], "done")
    line = f"tlsfloor: warning: awscrt: cipher_pref {allows} and is not used; the floor is {floor}"
    assert talk.startswith(line)
    assert len(talk.splitlines()) == 1


def test_a_preference_below_the_floor_is_an_event() -> None:
    said, _seen = run(
        "import tlsfloor\nfound = []\ntlsfloor.enforce('1.3', on_event=found.append)\n"
        "for _ in range(3): context(preference=io.TlsCipherPref.PQ_DEFAULT)\n"
        "sys.modules['tlsfloor.events'].flush()\n"
        "print(json.dumps([e for e in found if e['kind'] == 'clamped']))"
    )
    assert sum(each["count"] for each in said) == 3
    assert {(each["stack"], each["asked"], each["floor"]) for each in said} == {
        ("awscrt", "TLS 1.2", "1.3")
    }
    assert said[0]["text"].startswith("cipher_pref PQ_DEFAULT allows TLS 1.2")


def test_the_status_counts_raised_and_clamped_contexts() -> None:
    said, _seen = run(
        f"{LATE}tlsfloor.enforce('1.2')\nstatus = tlsfloor.status()\n"
        "context(); context(io.TlsVersion.TLSv1)\ncounts = tlsfloor.status().counts\n"
        "print(json.dumps([status.held, status.stacks, counts]))"
    )
    held, stacks, counts = said
    assert held is True
    assert stacks["_awscrt"] == stacks["awscrt.s3"] == "guarded"
    assert counts["raised"] >= 1
    assert counts["clamped"] >= 1


def test_a_version_that_lacks_what_is_needed_cannot_be_imported(tmp_path: Any) -> None:
    (tmp_path / "_awscrt.py").write_text("def client_tls_ctx_new(*args): pass\n")
    env = armed_environment("1.2")
    env["PYTHONPATH"] += os.pathsep + str(tmp_path)
    done = python("-c", "import _awscrt", env=env)
    assert done.returncode == 1
    assert "ImportError" in done.stderr or "GuardError" in done.stderr
    assert "this version of awscrt cannot be held to a floor: it has no " in done.stderr
    assert "mqtt5_client_start" in done.stderr


def test_the_classes_whose_older_objects_are_searched_exist() -> None:
    said, _seen = run(
        "from awscrt import mqtt, websocket\nfrom awscrt.eventstream import rpc\n"
        "from tlsfloor.stacks import awscrt as guard\n"
        "names = guard._HOLDERS + guard._CONNECTED\n"
        "print(json.dumps([n for n in names if not guard._classes((n,))]))"
    )
    assert said == []
