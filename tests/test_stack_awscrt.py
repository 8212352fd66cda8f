"""awscrt: what is special about its guard."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness import armed_environment, clean_environment, python
from parts import need

MADE = """
import json, tlsfloor
import _awscrt, awscrt.io as io
made = []
real = _awscrt.client_tls_ctx_new
_awscrt.client_tls_ctx_new = lambda *args: made.append(args[:2]) or real(*args)

def make(minimum, preference="DEFAULT"):
    options = io.TlsContextOptions()
    options.min_tls_ver = io.TlsVersion[minimum]
    options.cipher_pref = io.TlsCipherPref[preference]
    io.ClientTlsContext(options)
"""


def run(program: str, env: dict[str, str] | None = None) -> Any:
    need("awscrt")
    done = python("-c", program, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


ASKED = f"""{MADE}
import tlsfloor
tlsfloor.enforce(FLOOR)
for each in io.TlsVersion.__members__:
    make(each)
for each in io.TlsCipherPref.__members__:
    if io.TlsCipherPref[each].is_supported():
        make("TLSv1_3", each)
print(json.dumps([[io.TlsVersion(m).name, io.TlsCipherPref(p).name] for m, p in made]))
"""


@pytest.mark.parametrize(("floor", "low"), [("1.2", "TLSv1_2"), ("1.3", "TLSv1_3")])
def test_whatever_is_asked_for_holds_the_floor(floor: str, low: str) -> None:
    """What C is given, and what it makes of that: the programs of the conformance suite show it."""
    found = run(f"FLOOR = {floor!r}\n{ASKED}")
    assert len(found) > 6
    for minimum, preference in found:
        if preference == "DEFAULT":
            assert minimum in {low, "TLSv1_3"}
        else:
            assert floor == "1.2"
            assert "TLSv1_2" in preference


OLD = """
import json, sys
import awscrt.auth, awscrt.io as io, awscrt.mqtt, awscrt.s3
options = io.TlsContextOptions()
options.min_tls_ver = io.TlsVersion[MINIMUM]
context = io.ClientTlsContext(options)
connection = context.new_connection_options()
import tlsfloor
tlsfloor.enforce("1.2")
client = awscrt.mqtt.Client(tls_ctx=context)
found = []
connecting = awscrt.mqtt.Connection(client, "localhost", 1, "name")
for use in (context.new_connection_options, lambda: connection.set_server_name("localhost"),
            lambda: connecting.connect().result(20)):
    try:
        use()
        found.append("used")
    except Exception as error:
        found.append(f"{type(error).__name__}: {error}")
print(json.dumps([found, tlsfloor.status().counts["refused"]]))
"""


REMEMBERS = "import json, awscrt.io; print(json.dumps(awscrt.io.ClientTlsContext.__slots__))"


def test_what_is_older_than_the_floor_is_refused_unless_it_holds_it() -> None:
    found, refused = run(f"MINIMUM = 'TLSv1'{OLD}")
    assert refused == 3
    assert "used" not in found
    assert all("Expected valid 'Tls" in each for each in found)
    if "_min_tls_ver" not in run(REMEMBERS):
        return  # an older awscrt does not remember what a context was made with
    [first, second, third], refused = run(f"MINIMUM = 'TLSv1_3'{OLD}")
    assert (first, second, refused) == ("used", "used", 0)
    assert "Expected valid" not in third  # nobody listens at that port, which is another error


CHAIN = """
import json, tlsfloor
from awscrt.auth import AwsCredentialsProvider
try:
    AwsCredentialsProvider.new_default_chain()
    print(json.dumps("made"))
except OSError as error:
    print(json.dumps(str(error)))
"""


def test_a_provider_that_makes_its_own_context_is_refused() -> None:
    assert run(CHAIN) == "made"
    found = run(CHAIN, armed_environment())
    assert found.startswith("[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol: this provider of")
    assert "hint: write AwsCredentialsProvider.new_delegate()" in found


UNDONE = """
import json, _awscrt, awscrt.io as io, awscrt.s3, awscrt.mqtt, tlsfloor
owners = (_awscrt, io.ClientTlsContext, io.TlsConnectionOptions, awscrt.s3.S3Client)
before = [dict(vars(each)) for each in owners]
tlsfloor.enforce("1.2"), tlsfloor.enforce("1.3")
held = bool(tlsfloor.status())
from tlsfloor.stacks import awscrt as guard
guard.undo()
same = [dict(vars(each)) for each in owners] == before
print(json.dumps([held, same, bool(tlsfloor.status())]))
"""


def test_undoing_leaves_everything_as_it_was() -> None:
    assert run(UNDONE, clean_environment()) == [True, True, False]
