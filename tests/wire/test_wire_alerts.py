"""Parse, write and name alerts."""

from __future__ import annotations

import pytest

from tlsfloor.wire import Alert, WireError
from tlsfloor.wire import alerts as module


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (module.HANDSHAKE_FAILURE, "handshake_failure"),
        (module.PROTOCOL_VERSION, "protocol_version"),
        (module.INSUFFICIENT_SECURITY, "insufficient_security"),
        (module.INAPPROPRIATE_FALLBACK, "inappropriate_fallback"),
        (0, "close_notify"),
        (0x7A, "0x7a"),
    ],
)
def test_an_alert_has_the_name_of_its_number(number, name) -> None:
    assert Alert(module.FATAL, number).name == name


def test_every_alert_is_written_back_unchanged() -> None:
    for level in (module.WARNING, module.FATAL, 0, 0x7A, 255):
        for description in range(256):
            alert = Alert.parse(bytes([level, description]))
            assert (alert.level, alert.description) == (level, description)
            assert alert.write() == bytes([level, description])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "alert.level at byte 0: needs 1 bytes, 0 are left"),
        (b"\x02", "alert.description at byte 1: needs 1 bytes, 0 are left"),
        (b"\x02\x46\x02", "alert at byte 2: has 1 bytes too many"),
    ],
)
def test_an_alert_of_other_than_two_bytes_is_an_error(data, message) -> None:
    with pytest.raises(WireError) as caught:
        Alert.parse(data)
    assert str(caught.value) == message


def test_a_number_that_exceeds_a_byte_cannot_be_written() -> None:
    with pytest.raises(WireError, match=r"^alert.description at byte 1: 0x100 does not fit"):
        Alert(2, 256).write()


def test_the_names_agree_with_those_of_tlslite() -> None:
    """Compare with the table of another implementation."""
    constants = pytest.importorskip("tlslite.constants", reason="tlslite-ng is not installed")
    theirs = {
        number: name
        for name, number in vars(constants.AlertDescription).items()
        if isinstance(number, int)
    }
    known = theirs.keys() & module.NAMES.keys()
    assert len(known) > 25
    assert {n: module.NAMES[n] for n in known} == {n: theirs[n] for n in known}
