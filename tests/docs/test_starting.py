"""The tables of ``docs/reference/starting.md`` show what happens when a process starts that way."""

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

#: This Python and the oldest one, each by one route. The page has all of them, with all options.
STARTS = [
    (os.path.realpath(sys.executable), "installed"),
    *((each, "PYTHONPATH") for each in old_pythons()[:1]),
]
FLAGS = ("", "-S")


def test_the_tables_are_read_as_they_are_written() -> None:
    """The page is the only record, so what is not measured again must stay."""
    cells = starting.read()
    assert starting.tables(cells) in starting.PAGE.read_text("utf-8")
    assert {each.route for each in cells} == set(starting.ROUTES.values())
    assert {each.way for each in cells} == set(starting.WAYS)


def test_an_interpreter_with_another_outcome_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = starting.read()
    changed = [first._replace(outcome="open"), *others]
    page = tmp_path / "starting.md"
    page.write_text(f"{starting.BEGIN}{starting.tables(changed)}{starting.END}", "utf-8")
    assert f"| file | **armed**; open on {first.python} |" in page.read_text("utf-8")
    monkeypatch.setattr(starting, "PAGE", page)
    assert set(starting.read()) == set(changed)


@pytest.mark.skipif(os.name != "posix", reason="the page is about POSIX")
@pytest.mark.parametrize(("executable", "route"), STARTS)
def test_a_start_has_the_outcome_of_the_page_and_of_the_verifier(
    executable: str, route: str
) -> None:
    cells = starting.measure(executable, [route], FLAGS)
    assert {each.flag for each in cells} == set(FLAGS)
    assert {each.outcome for each in cells} == {"armed", "open"}
    assert not [each for each in cells if each.verified != each.outcome]
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
