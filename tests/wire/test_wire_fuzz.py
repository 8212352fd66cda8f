"""Run the fuzz target for a moment, and show that it detects the faults that it is for."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tlsfloor.wire import ClientHello, Record


@pytest.fixture(scope="module")
def fuzz():
    path = Path(__file__).parents[1] / "fuzz" / "fuzz_wire.py"
    spec = importlib.util.spec_from_file_location("fuzz_wire", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_invariant_holds_for_some_inputs(fuzz, capsys) -> None:
    assert fuzz.main(["--inputs", "2000", "--seed", "7"]) == 0
    assert capsys.readouterr().out == "2000 inputs of seed 7: the invariant holds\n"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ((ClientHello, "write", lambda _: b"something else"), AssertionError),
        ((Record, "write", lambda _: b"something else"), AssertionError),
        ((ClientHello, "server_name", lambda _: b"\xff".decode("ascii")), UnicodeDecodeError),
    ],
)
def test_a_fault_breaks_the_invariant(fuzz, monkeypatch, fault, error) -> None:
    streams = fuzz.seeds()
    monkeypatch.setattr(fuzz, "seeds", lambda: streams)
    monkeypatch.setattr(*fault)
    with pytest.raises(error):
        fuzz.main(["--inputs", "10"])
