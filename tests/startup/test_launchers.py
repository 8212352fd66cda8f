"""The table of launchers in ``docs/reference/starting.md``, measured; and the guide, followed."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import guides
from follow import follow
from programs import python
from parts import need, need_program

need("tlslite", "rich")

sys.path.append(str(Path(__file__).parents[2] / "docs"))
import launchers

GUIDE, FRAMEWORKS = "how-to/launchers.md", "how-to/frameworks.md"

#: (row, route) -> outcome, as the page says.
KNOWN = launchers.read()[0]

#: To save time, one of the rows that differ only in an option.
TRIED = [
    "PEX",
    "PEX, `--inherit-path=prefer`",
    "PyInstaller, one folder",
    "shiv",
    "`uv run --isolated`",
    "`uvx`",
    "gunicorn",
    "uWSGI, the folder by `pythonpath=`",
    "uWSGI, `no-site`",
    "uWSGI, the second of two mounts",
    "mod_wsgi, the folder by `envvars`",
    "mod_wsgi, the folder by `python-path=`",
    "mod_wsgi, the second application group",
    "Celery, `prefork`",
    "Jupyter kernel",
    "multiprocessing, forkserver that runs already",
    "`InterpreterPoolExecutor`",
    "loky, workers that run already",
    "Dask, workers that run already",
]


@pytest.fixture(scope="module")
def place() -> Iterator[Any]:
    with launchers.places() as made:
        yield made


def need_row(row: str) -> None:
    needs = launchers.missing(row)
    if needs == "mod_wsgi":
        need_program("apache2")
        need_program(launchers.MOD_WSGI)
    elif needs == "concurrent.futures.interpreter":
        need(needs, since=(3, 14))
    elif needs:
        need("uwsgidecorators" if needs == "uwsgi" else needs)


@pytest.mark.skipif(os.name != "posix", reason="the page is about POSIX")
@pytest.mark.parametrize("row", TRIED)
def test_a_row_is_what_the_page_says(row: str, place: Any) -> None:
    """Without a floor it is open; by what the page says to do it is armed."""
    need_row(row)
    by = launchers.ROWS[row].by
    routes = (launchers.NO_FLOOR, "folder", by or "called")  # the advice often is one of the routes
    outcomes = {cell.route: cell.outcome for cell in launchers.measure(row, place(row), routes)}
    assert outcomes[launchers.NO_FLOOR] == "open"
    assert outcomes[routes[-1]] == "armed"
    assert {(row, route) for route in outcomes if route in launchers.ROUTES} <= set(KNOWN)
    for route in launchers.ROUTES:
        assert outcomes.get(route, KNOWN[row, route]) == KNOWN[row, route]


def test_the_table_is_read_as_it_is_written() -> None:
    """The page is the only record, so what is not measured again must stay."""
    assert launchers.table(*launchers.read()) in launchers.PAGE.read_text("utf-8")


def test_the_table_has_every_row_and_advice_that_arms_it() -> None:
    for row in launchers.ROWS:
        outcomes = {route: KNOWN[row, route] for route in launchers.ROUTES}
        assert launchers.helps(row, {**outcomes, launchers.ADVICE: "armed"}), row


def test_the_guides_have_all_that_the_table_advises() -> None:
    guide = "".join((guides.DOCS / each).read_text("utf-8") for each in (GUIDE, FRAMEWORKS))
    for row in launchers.ROWS.values():
        for code in re.findall(r"`(.+?)`", row.advice):
            for word in re.split(r"[\s;]+|DIR", code):
                assert word in guide, (word, row.advice)


@pytest.mark.skipif(os.name != "posix", reason="the page is about POSIX")
@pytest.mark.timeout(900)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    need("pex", "uv")
    # Here PyInstaller takes minutes, because so much is installed. A row freezes a program.
    follow(GUIDE, tmp_path, ports=["8443"], skip=["packages", "frozen"])


def test_the_files_of_the_guide_are_those_that_were_run() -> None:
    arm = (launchers.PROGRAMS / "launched" / "arm.py").read_text()
    assert arm.endswith(guides.block(GUIDE, "file: arm.py"))
    assert guides.block(FRAMEWORKS, "file: gunicorn.conf.py") == launchers.GUNICORN_CONF


def test_a_frozen_program_has_every_guard_and_what_the_verifier_shows() -> None:
    need("PyInstaller")
    import tlsfloor
    from tlsfloor.deploy import pyinstaller
    from tlsfloor.stacks import TABLE

    [folder] = pyinstaller.folders()
    # In another process: the hook imports the package to list its modules.
    program = "import json, runpy, sys; found = runpy.run_path(sys.argv[1]); "
    program += "print(json.dumps([found['hiddenimports'], found['datas']]))"
    done = python("-c", program, os.path.join(folder, "hook-tlsfloor.py"))
    hidden, datas = json.loads(done.stdout.splitlines()[-1])
    assert {*TABLE.values(), "tlsfloor._enforce", "tlsfloor._status"} <= set(hidden), done.stderr
    assert str(Path(tlsfloor.__file__).parent / "peers" / "peer.pem") in [each[0] for each in datas]
