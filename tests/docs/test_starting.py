"""The tables of ``docs/reference/starting.md``: their program sees what the page says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from programs import python
from parts import need, old_pythons

need("tlslite", "rich")

sys.path.append(str(Path(__file__).parents[2] / "docs"))
import starting

#: This Python and the oldest, each by a route. The page has all of them, and all flags.
STARTS = [
    (os.path.realpath(sys.executable), "installed"),
    *((each, "PYTHONPATH") for each in old_pythons()[:1]),
]
FLAGS = ("", "-S")


def test_the_page_shows_what_was_measured() -> None:
    assert starting.tables(starting.read()) in starting.PAGE.read_text("utf-8")


def test_the_verifier_agreed_with_each_start() -> None:
    known = starting.read()
    assert not [each for each in known if each.told not in ("", each.outcome)]
    children = [each for each in known if each.route.startswith("enforce")]
    assert not [each for each in known if not each.told and each not in children]


@pytest.mark.skipif(os.name != "posix", reason="the page is about POSIX")
@pytest.mark.parametrize(("executable", "route"), STARTS)
def test_starts_come_to_what_the_page_and_the_verifier_say(executable: str, route: str) -> None:
    cells = starting.measure(executable, [route], FLAGS)
    assert {each.flag for each in cells} == set(FLAGS)
    assert {each.outcome for each in cells} == {"armed", "open"}
    assert not [each for each in cells if each.told != each.outcome]
    minor = python(
        "-c", "import sys; print('%d.%d.' % sys.version_info[:2])", executable=executable
    )
    known = {
        each[1:4]: each.outcome
        for each in starting.read()
        if each.python.startswith(minor.stdout.strip())
    }
    if known:  # else it is newer than the page
        assert {each[1:4]: each.outcome for each in cells}.items() <= known.items()
