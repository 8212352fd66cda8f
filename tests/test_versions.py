"""Numbers and names of TLS versions."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from tlsfloor import versions


@given(st.text(alphabet=string.printable))
def test_no_text_makes_a_floor_by_chance(text: str) -> None:
    try:
        wire = versions.parse(text)
    except ValueError:
        return
    digits = [each for each in text if each.isdigit()]
    assert digits in (["1"], ["1", str(wire - 0x0301)])


def test_an_unknown_wire_number_survives_and_prints_as_hex() -> None:
    assert versions.name(0x7A7A) == "0x7a7a"
    assert versions.name(0x0304) == "TLS 1.3"
    assert versions.floor_name(0x0303) == "1.2"
