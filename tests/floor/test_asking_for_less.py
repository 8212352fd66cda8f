"""Ways of asking for less than the floor: each gets it without the floor, and none with it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import parts
import pytest
from peers import LADDER
from programs import (
    LEGACY_ECDHE,
    ROUTES,
    armed_environment,
    assert_held,
    clean_environment,
    drive,
    python,
    reach,
)

from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS, TLS1_0, TLS1_2

LEGACY = tuple(peer for peer in LADDER if peer < "1.2")


def only(version: str) -> tuple[str, ...]:
    """Return the peers that a client of one version cannot reach."""
    return tuple(peer for peer in LADDER if peer.split()[0] != version)


def at_default_level() -> tuple[str, ...]:
    """Return the peers that OpenSSL refuses at its default security level, whatever the minimum is.

    OpenSSL 3.0 refuses legacy TLS where it needs a SHA-1 signature, 3.1 and later refuse all of it
    (openssl/openssl#18194).
    """
    if ssl.OPENSSL_VERSION_INFO >= (3, 1):
        return LEGACY
    return LEGACY_ECDHE if ssl.OPENSSL_VERSION_INFO >= (3,) else ()


def by_default() -> tuple[str, ...]:
    """Return the peers that a context refuses of which nobody asked anything.

    From 3.10 on CPython gives it TLS 1.2 as the minimum, and no suite with static RSA, unless its
    builder left both to OpenSSL, as Debian does. So look at one: nothing is armed in this process.
    """
    context = ssl.create_default_context()
    minimum = context.minimum_version
    if minimum == ssl.TLSVersion.MINIMUM_SUPPORTED:
        minimum = ssl.TLSVersion.TLSv1
    refused = {peer for peer in LADDER if FLOORS[peer.split()[0]] < minimum}
    if "AES128-SHA" not in {suite["name"] for suite in context.get_ciphers()}:
        refused |= {peer for peer in LADDER if peer.endswith("rsa") and peer < "1.3"}
    return tuple(refused.union(at_default_level()))


#: Way -> the peers that it cannot reach even without a floor.
WAYS = {
    "default": by_default(),
    "minimum lowered": at_default_level(),
    "minimum and security level lowered": (),
    "MINIMUM_SUPPORTED": (),
    "options cleared": (),
    "_create_unverified_context": (),
    "subclass with setters of its own": (),
    "subclass with an __init__ of its own": (),
    "subclass with a mixin": (),
    "PROTOCOL_TLSv1": only("1.0"),
    "PROTOCOL_TLSv1_1": only("1.1"),
    "PROTOCOL_TLSv1_2": only("1.2"),
}


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("way", WAYS)
def test_a_context_gets_no_less_than_the_floor(way: str, route: str, floor: str) -> None:
    if way.startswith("PROTOCOL"):
        parts.need_name(ssl, way)
    assert_held("less", route, floor, out_of_reach=WAYS[way], way=way)


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_context_that_is_lowered_again_and_again_gets_no_less(route: str, floor: str) -> None:
    assert_held("less_at_use", route, floor)


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
def test_wrap_socket_gets_no_less_than_the_floor(route: str, floor: str) -> None:
    parts.need_name(ssl, "wrap_socket")
    parts.need_name(ssl, "PROTOCOL_TLSv1")
    assert_held("less_wrap_socket", route, floor, out_of_reach=only("1.0"))


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
def test_urllib3_1_connects_at_the_floor_despite_a_lower_pin(
    route: str, floor: str, urllib3_path: Callable[[str], list[str]]
) -> None:
    """urllib3 1 would create a fixed-version context. An earlier one is refused."""
    parts.need_name(ssl, "PROTOCOL_TLSv1")
    job = {"urllib3": "1", "path": urllib3_path("1")}
    assert_reaches(("1.0",), "less_urllib3", "none", "", **job)
    allowed = tuple(name for name in FLOORS if FLOORS[name] >= FLOORS[floor])
    assert_reaches(() if route == "late" else allowed, "less_urllib3", route, floor, **job)


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_maximum_below_the_floor_is_clamped_to_it(route: str, floor: str) -> None:
    assert_reaches(("1.0", "1.1"), "less", "none", "", way="maximum lowered")
    assert_reaches((floor,), "less", route, floor, way="maximum lowered")


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
def test_urllib3_2_connects_at_the_floor_despite_a_lower_pin(
    route: str, floor: str, urllib3_path: Callable[[str], list[str]]
) -> None:
    """urllib3 2 sets a minimum and a maximum from the pin, and both are clamped."""
    parts.need_name(ssl, "PROTOCOL_TLSv1")
    job = {"urllib3": "2", "path": urllib3_path("2")}
    assert_reaches(("1.0",), "less_urllib3", "none", "", **job)
    assert_reaches((floor,), "less_urllib3", route, floor, **job)


#: What urllib3 2 has to say of a pin: errors, and a warning that names the caller's line.
SAYS = """
import ssl, sys, warnings
sys.path[:0] = sys.argv[1:]
from urllib3.util.ssl_ import create_urllib3_context
pin, bound = ssl.PROTOCOL_TLSv1, ssl.TLSVersion.TLSv1
for asked in (
    dict(ssl_version=pin), dict(ssl_version=pin, ssl_minimum_version=bound), dict(ssl_version="x"),
    dict(ssl_version=pin, ssl_maximum_version=bound), dict(ssl_minimum_version=bound),
    dict(ssl_version=ssl.PROTOCOL_TLS), dict(ssl_version=ssl.PROTOCOL_TLS_CLIENT),
):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            create_urllib3_context(**asked)
        except Exception as error:
            print(type(error), error)
    for each in told:
        print(each.category, each.message, each.filename, each.lineno)
"""


@pytest.mark.parametrize("major", ["1", "2"])
@pytest.mark.parametrize("floor", ["1.0", "1.2", "1.3"])
def test_urllib3_warns_of_a_pin_as_without_the_floor(
    major: str, floor: str, urllib3_path: Callable[[str], list[str]]
) -> None:
    parts.need_name(ssl, "PROTOCOL_TLSv1")
    path = urllib3_path(major)
    without = python("-c", SAYS, *path, env=clean_environment()).stdout
    assert "Error" in without
    assert {"FutureWarning" in without, "ValueError" in without} == {major == "2"}
    assert python("-c", SAYS, *path, env=armed_environment(floor)).stdout == without


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
def test_botocore_connects_at_the_floor_despite_a_lower_pin(route: str, floor: str) -> None:
    """botocore has its own copy of that function, which creates a fixed-version context."""
    parts.need_name(ssl, "PROTOCOL_TLSv1")
    parts.need("botocore")
    job = {"urllib3": "", "maker": "botocore.httpsession"}
    assert_reaches(("1.0",), "less_urllib3", "none", "", **job)
    allowed = tuple(name for name in FLOORS if FLOORS[name] >= FLOORS[floor])
    assert_reaches(() if route == "late" else allowed, "less_urllib3", route, floor, **job)


def assert_reaches(
    versions: tuple[str, ...], program: str, route: str, floor: str, **job: Any
) -> None:
    """Assert that a client reaches the peers of these versions, and is refused by all others."""
    for peer, told in reach(program, route, floor, {}, **job).items():
        version = peer.split()[0]
        if version in versions:
            assert told == version, peer
        else:
            assert told.startswith("refused: "), f"{peer}: {told}"


@pytest.mark.parametrize("route", ROUTES)
def test_a_fixed_version_is_refused_as_openssl_would(route: str) -> None:
    parts.need_name(ssl, "PROTOCOL_TLSv1")
    assert drive("fixed_version_error", "none", "", {}) is None
    error = drive("fixed_version_error", route, "1.2", {})
    assert error["reason"] == "UNSUPPORTED_PROTOCOL"
    assert "TLS 1.0 only" in error["text"]
    assert "hint: write ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)" in error["text"]


@pytest.mark.parametrize(("version", "floor"), [(TLS1_0, "1.2"), (TLS1_2, "1.3")])
def test_a_late_floor_lists_the_open_connection_below_it(version: int, floor: str) -> None:
    with handshakes.ServerPeer(version) as peer:
        job = {"ca": handshakes.CA_FILE, "port": peer.port, "floor": floor}
        (listed,) = drive("late_below", "none", "", job)
    assert listed.startswith({TLS1_0: "TLSv1 ", TLS1_2: "TLSv1.2 "}[version])


@pytest.mark.parametrize(("version", "floor"), [(None, "1.2"), (TLS1_2, "1.2")])
def test_a_late_floor_lists_nothing_else(version: int | None, floor: str) -> None:
    """It lists no context, and no connection at or above the floor."""
    with handshakes.ServerPeer(version or TLS1_2) as peer:
        job = {"ca": handshakes.CA_FILE, "port": version and peer.port, "floor": floor}
        assert drive("late_below", "none", "", job) == []
