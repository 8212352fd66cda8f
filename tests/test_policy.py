"""Which floors and options are understood, and that the stricter of two wins."""

from __future__ import annotations

import pickle
import ssl
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlsfloor import errors, policy, versions

SPELLINGS = {
    "1.0": 0x0301,
    "TLSv1": 0x0301,
    "1.2": 0x0303,
    " 1.2 ": 0x0303,
    "TLSv1.2": 0x0303,
    "TLS 1.2": 0x0303,
    "tls1.2": 0x0303,
    "TLSv1_2": 0x0303,
    "VersionTLS12": 0x0303,
    "versiontls13": 0x0304,
    ssl.TLSVersion.TLSv1_3: 0x0304,
    0x0303: 0x0303,
}

NONSENSE = [
    "",
    " ",
    "1",
    "12",
    "1.4",
    "2",
    "SSLv3",
    "off",
    "TLS",
    "1.2.3",
    None,
    1.2,
    True,
    3,
    12,
    b"1.2",
    ssl.TLSVersion.MINIMUM_SUPPORTED,
    ssl.TLSVersion.SSLv3,
    ssl.PROTOCOL_TLS_CLIENT,
    ["1.2"],
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=repr)
def test_every_usual_spelling_of_a_floor_is_understood(spelling: object) -> None:
    assert policy.floor_of(spelling, "a test") == SPELLINGS[spelling]


@pytest.mark.parametrize("value", NONSENSE, ids=repr)
def test_anything_else_is_an_error_that_names_the_value_and_who_asked(value: object) -> None:
    with pytest.raises(errors.PolicyError) as caught:
        policy.floor_of(value, "TLSFLOOR")
    assert caught.value.value is value
    assert caught.value.source == "TLSFLOOR"
    assert "TLSFLOOR" in caught.value.problem
    assert "1.2" in caught.value.hint
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.__dict__) == (str(caught.value), caught.value.__dict__)


@given(st.text(alphabet=string.printable))
def test_no_text_makes_a_floor_by_chance(text: str) -> None:
    try:
        wire = versions.parse(text)
    except ValueError:
        return
    digits = [each for each in text if each.isdigit()]
    assert digits in (["1"], ["1", str(wire - 0x0301)])


@pytest.mark.parametrize(
    ("environment", "floor"),
    [
        ({}, 0x0303),
        ({"TLSFLOOR": "1.3"}, 0x0304),
        ({"TLSFLOOR": "1.0"}, 0x0301),
        ({"TLS_MIN_VERSION": "VersionTLS13"}, 0x0304),
        ({"TLS_MIN_VERSION": "1.3"}, 0x0304),
        # A cluster's knob raises the default and never lowers it ...
        ({"TLS_MIN_VERSION": "VersionTLS10"}, 0x0303),
        # ... and raises what somebody else asked for.
        ({"TLSFLOOR": "1.0", "TLS_MIN_VERSION": "VersionTLS11"}, 0x0302),
        ({"TLSFLOOR": "1.3", "TLS_MIN_VERSION": "VersionTLS12"}, 0x0304),
    ],
    ids=str,
)
def test_a_process_starts_with_the_strictest_floor_it_was_asked_for(
    environment: dict[str, str], floor: int
) -> None:
    assert policy.startup_floor(environment) == floor


@pytest.mark.parametrize(
    "environment",
    [
        {"TLSFLOOR": ""},
        {"TLSFLOOR": "1.2", "TLS_MIN_VERSION": ""},
        {"TLS_MIN_VERSION": "off"},
        {"TLSFLOOR_ON_ERROR": ""},
        {"TLSFLOOR_ON_ERROR": "Block"},
        {"TLSFLOOR": "1.2", "TLSFLOOR_ON_ERROR": "ignore"},
    ],
    ids=str,
)
def test_a_variable_that_is_set_and_means_nothing_is_an_error(environment: dict[str, str]) -> None:
    with pytest.raises(errors.PolicyError) as caught:
        policy.startup_floor(environment)
    assert caught.value.source in environment


def test_off_applies_to_the_startup_routes_only() -> None:
    assert policy.is_off({"TLSFLOOR": "OFF "})
    assert not policy.is_off({"TLSFLOOR": "1.2"})
    assert policy.floor_in({"TLSFLOOR": "off"}) is None
    assert policy.floor_in({"TLSFLOOR": "off", "TLS_MIN_VERSION": "1.3"}) == 0x0304


def test_an_unknown_wire_number_survives_and_prints_as_hex() -> None:
    assert versions.name(0x7A7A) == "0x7a7a"
    assert versions.name(0x0304) == "TLS 1.3"
    assert versions.floor_name(0x0303) == "1.2"
