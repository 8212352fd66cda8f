"""Clients that people use, told to accept everything: none reaches a peer below the floor."""

from __future__ import annotations

import pytest

from harness import ROUTES, assert_held

#: Program -> the peers that it cannot reach even without a floor.
CLIENTS: dict[str, tuple[str, ...]] = {
    "client_ssl": (),
    "client_urllib3": (),
}


@pytest.mark.parametrize("floor", ["1.2", "1.3"])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("program", CLIENTS)
def test_no_connection_below_the_floor(program: str, route: str, floor: str) -> None:
    assert_held(program, route, floor, out_of_reach=CLIENTS[program])
