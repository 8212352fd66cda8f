"""``raise_context()`` raises one context, and changes nothing else in the process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TYPE_CHECKING

import pytest

import parts
from programs import BOOTSTRAP, clean_environment, python
from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0, TLS1_2

if TYPE_CHECKING:
    from collections.abc import Iterator

PROLOGUE = """
import json, socket, ssl, sys, warnings
import tlsfloor
warnings.simplefilter("ignore")
old, new, ca = sys.argv[1:]
said = {}

def lowest(context):
    context.load_verify_locations(ca)
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context

def reach(context, port):
    with socket.create_connection(("127.0.0.1", int(port))) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                return tls.version()
        except Exception as error:
            return type(error).__name__ + " " + str(error)

def both(context):
    return [reach(context, old), reach(context, new)]
"""

REACHES_BOTH = ["TLSv1", "TLSv1.2"]


@pytest.fixture(scope="module")
def ends() -> Iterator[list[str]]:
    """A peer below the floor, a peer at the floor, and the certificate authority of both."""
    with handshakes.ServerPeer(TLS1_0) as old, handshakes.ServerPeer(TLS1_2) as new:
        yield [str(old.port), str(new.port), handshakes.CA_FILE]


def run(program: str, ends: list[str]) -> dict[str, Any]:
    env = clean_environment(PYTHONPATH=str(Path(BOOTSTRAP).parents[1]))
    done = python("-c", f"{PROLOGUE}\n{program}\nprint(json.dumps(said))", *ends, env=env)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def assert_raised(reached: list[str]) -> None:
    assert "PROTOCOL_VERSION" in reached[0] or "UNSUPPORTED_PROTOCOL" in reached[0], reached
    assert reached[1] == "TLSv1.2"


def test_one_context_is_raised_and_no_other(ends: list[str]) -> None:
    said = run(
        """
one, other = [lowest(ssl.create_default_context()) for _ in range(2)]
said["before"] = both(one)
before = dict(ssl.SSLContext.__dict__)
tlsfloor.raise_context(one, "1.2")
said["one"], said["other"] = both(one), both(other)
said["later"] = both(lowest(ssl.create_default_context()))
said["class"] = before == dict(ssl.SSLContext.__dict__)
said["status"] = tlsfloor.status().floor
said["minimum"] = int(one.minimum_version)
""",
        ends,
    )
    assert said["before"] == said["other"] == said["later"] == REACHES_BOTH
    assert_raised(said["one"])
    assert said["class"] is True
    assert said["status"] is None
    assert said["minimum"] == TLS1_2


def test_a_maximum_below_is_raised_too_and_higher_bounds_stay(ends: list[str]) -> None:
    said = run(
        """
low, high = [lowest(ssl.create_default_context()) for _ in range(2)]
low.maximum_version = 0x302
high.minimum_version = high.maximum_version = 0x304
for context in (low, high):
    tlsfloor.raise_context(context, "1.2")
said["bounds"] = [[int(each.minimum_version), int(each.maximum_version)] for each in (low, high)]
said["low"] = both(low)
""",
        ends,
    )
    assert said["bounds"] == [[0x303, 0x303], [0x304, 0x304]]
    assert_raised(said["low"])


def test_it_reaches_the_context_behind_a_subclass(ends: list[str]) -> None:
    """Also if the subclass has its own properties, which show something else."""
    said = run(
        """
class Plain(ssl.SSLContext):
    pass
class Own(ssl.SSLContext):
    @property
    def minimum_version(self):
        return ssl.SSLContext.minimum_version.__get__(self)
    @minimum_version.setter
    def minimum_version(self, value):
        ssl.SSLContext.minimum_version.__set__(self, value)
for cls in (Plain, Own):
    context = lowest(cls(ssl.PROTOCOL_TLS_CLIENT))
    said[cls.__name__] = [both(context)]
    tlsfloor.raise_context(context, "1.2")
    said[cls.__name__].append(both(context))
""",
        ends,
    )
    for name in ("Plain", "Own"):
        before, after = said[name]
        assert before == REACHES_BOTH
        assert_raised(after)


def test_it_reaches_the_context_behind_truststore_s(ends: list[str]) -> None:
    """truststore's class is a proxy: an attribute has the context that is used."""
    parts.need("truststore", since=(3, 10))
    said = run(
        """
import truststore
context = lowest(truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
said["before"] = both(context)
tlsfloor.raise_context(context, "1.2")
said["after"], said["minimum"] = both(context), int(context.minimum_version)
""",
        ends,
    )
    assert said["before"] == REACHES_BOTH
    assert_raised(said["after"])
    assert said["minimum"] == TLS1_2


def test_it_reaches_the_context_behind_a_proxy(
    ends: list[str],
) -> None:
    """On PyPy truststore's class is no subclass, but ``isinstance()`` is true."""
    said = run(
        """
class Proxy:
    __class__ = ssl.SSLContext
    def __init__(self):
        self.__dict__["real"] = ssl.create_default_context()
    def __getattr__(self, name):
        return getattr(self.real, name)
    def __setattr__(self, name, value):
        setattr(self.real, name, value)
context = lowest(Proxy())
said["is one"] = [isinstance(context, ssl.SSLContext), issubclass(type(context), ssl.SSLContext)]
said["before"] = both(context)
tlsfloor.raise_context(context, "1.2")
said["after"] = both(context)
""",
        ends,
    )
    assert said["is one"] == [True, False]
    assert said["before"] == REACHES_BOTH
    assert_raised(said["after"])


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="no Python to try the names of fixed versions on"
)
def test_a_fixed_version_is_refused_or_high_enough(ends: list[str]) -> None:
    said = run(
        """
for name in ("PROTOCOL_TLSv1", "PROTOCOL_TLSv1_1", "PROTOCOL_TLSv1_2"):
    context = ssl.SSLContext(getattr(ssl, name))
    try:
        said[name] = tlsfloor.raise_context(context, "1.2")
    except ssl.SSLError as error:
        said[name] = [type(error).__name__, error.reason, error.floor, error.set_by]
""",
        ends,
    )
    refused = ["ProtocolRefused", "UNSUPPORTED_PROTOCOL", "1.2", "raise_context()"]
    assert said == {
        "PROTOCOL_TLSv1": refused,
        "PROTOCOL_TLSv1_1": refused,
        "PROTOCOL_TLSv1_2": None,
    }


def test_what_is_not_a_context_or_not_a_floor_is_an_error(ends: list[str]) -> None:
    said = run(
        """
context = lowest(ssl.create_default_context())
class NotOne: minimum_version = maximum_version = 0x301
for thing, floor in [(None, "1.2"), (NotOne(), "1.2"), (ssl.SSLContext, "1.2"),
                     (context, "nonsense"),
                     (context, ""), (context, None)]:
    try:
        tlsfloor.raise_context(thing, floor)
    except Exception as error:
        said["%s %s" % (type(thing).__name__, floor)] = "%s: %s" % (type(error).__name__, error)
said["minimum"] = int(context.minimum_version)
""",
        ends,
    )
    assert said.pop("minimum") == TLS1_0
    assert len(said) == 6
    for what, error in said.items():
        kind = "PolicyError" if what.startswith("SSLContext") else "TypeError"
        assert error.startswith(f"{kind}: "), (what, error)


def test_it_is_independent_of_an_armed_floor(ends: list[str]) -> None:
    """With a floor armed it can raise a context higher, and cannot lower one."""
    said = run(
        """
tlsfloor.enforce("1.2")
context = lowest(ssl.create_default_context())
tlsfloor.raise_context(context, "1.0")
said["lower"] = both(context)
tlsfloor.raise_context(context, "1.3")
said["higher"] = both(context)
""",
        ends,
    )
    assert_raised(said["lower"])
    for reached in said["higher"]:
        assert "PROTOCOL_VERSION" in reached or "UNSUPPORTED_PROTOCOL" in reached
