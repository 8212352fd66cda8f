"""Ways of asking for less than the floor: each gets it without the floor, and none with it."""

from __future__ import annotations

import ssl
from typing import Any

import parts
import pytest
from harness import LADDER, LEGACY_ECDHE, ROUTES, assert_held, drive, reach
from tlsfloor.verify import peers
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
    """Return the peers that a context refuses which nobody lowered.

    CPython writes TLS 1.2 as the minimum from 3.10 on, unless its builder left that to OpenSSL's
    configuration, as Debian does.
    """
    minimum = ssl.create_default_context().minimum_version
    if minimum in (ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1):
        return at_default_level()
    assert minimum == ssl.TLSVersion.TLSv1_2
    return LEGACY


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
def test_urllib3_gets_no_less_by_its_minimum(
    route: str, floor: str, pytestconfig: pytest.Config
) -> None:
    # No argument of a PoolManager lowers the security level.
    job = urllib3_job("2", pytestconfig, ssl_minimum_version=TLS1_0)
    assert_held("less_urllib3", route, floor, out_of_reach=at_default_level(), **job)


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
def test_urllib3_1_gets_no_less_by_a_fixed_version(
    route: str, floor: str, pytestconfig: pytest.Config
) -> None:
    parts.need_name(ssl, "PROTOCOL_TLSv1")
    job = urllib3_job("1", pytestconfig, ssl_version="PROTOCOL_TLSv1")
    out_of_reach = only("1.0") + tuple(each for each in at_default_level() if each < "1.1")
    assert_held("less_urllib3", route, floor, out_of_reach=out_of_reach, **job)


def urllib3_job(major: str, config: pytest.Config, **asks: Any) -> dict[str, Any]:
    return {"urllib3": major, "path": parts.urllib3_path(major, config.cache), "asks": asks}


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_maximum_below_the_floor_is_clamped_to_it(route: str, floor: str) -> None:
    assert reached("less", "none", "", way="maximum lowered") == set(LEGACY)
    assert reached("less", route, floor, way="maximum lowered") == set(LADDER) - set(only(floor))


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
def test_urllib3_2_gets_the_floor_for_a_fixed_version(
    route: str, floor: str, pytestconfig: pytest.Config
) -> None:
    """It makes a minimum and a maximum of ``ssl_version``, and both are clamped."""
    parts.need_name(ssl, "PROTOCOL_TLSv1")
    job = urllib3_job("2", pytestconfig, ssl_version="PROTOCOL_TLSv1")
    allowed = {peer for peer in LADDER if peer < "1.1"}.difference(at_default_level())
    assert reached("less_urllib3", "none", "", **job) == allowed
    assert reached("less_urllib3", route, floor, **job) == set(LADDER) - set(only(floor))


def reached(program: str, route: str, floor: str, **job: Any) -> set[str]:
    told = reach(program, route, floor, {}, **job)
    return {peer for peer, version in told.items() if version in FLOORS}


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
    with peers.ServerPeer(version) as peer:
        job = {"ca": peers.CA_FILE, "port": peer.port, "floor": floor}
        (listed,) = drive("late_below", "none", "", job)
    assert listed.startswith({TLS1_0: "TLSv1 ", TLS1_2: "TLSv1.2 "}[version])


@pytest.mark.parametrize(("version", "floor"), [(None, "1.2"), (TLS1_2, "1.2")])
def test_a_late_floor_lists_nothing_else(version: int | None, floor: str) -> None:
    """Neither a context that asks for less, nor a connection that is not below."""
    with peers.ServerPeer(version or TLS1_2) as peer:
        job = {"ca": peers.CA_FILE, "port": version and peer.port, "floor": floor}
        assert drive("late_below", "none", "", job) == []
