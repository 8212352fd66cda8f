"""Type checkers find mistakes in programs that use tlsfloor, and what another system lacks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import parts
import pytest

import guides
import outputs
import tlsfloor
from programs import PROGRAMS, TESTS, clean_environment, python
from tlsfloor import _types, floor, policy, versions

#: It says on which lines what mistake is.
TYPED = PROGRAMS / "typed.py"
_MARK = re.compile(r"# wrong(?:, not for (?P<unless>\w+))?: (?P<outcome>\w+)$")

#: In strict mode, and for the oldest Python that the checker knows: mypy has dropped 3.8.
CHECKERS = {
    "mypy": ["--strict", "--python-version=3.10", "--cache-dir=.", "."],
    "pyright": ["--project", ".", "--pythonpath", sys.executable],
    "ty": [
        *("check", "--output-format=concise", "--python-version=3.8"),
        *("--python", sys.executable),
    ],
}
PYRIGHT = {"typeCheckingMode": "strict", "pythonVersion": "3.8"}

#: An error or a warning of one of them. "note" and "information" are none.
_REPORTED = re.compile(r"(\w+\.py):(\d+)[:\d]* (?:- )?(?:error|warning)")

#: What typeshed does not have: a name of ours in ``sys``, and two of ``importlib``.
OF_NO_SYSTEM = ("_tlsfloor", "_path_isfile", "_load_unlocked")

#: Executes a program whose marked statements may raise, and prints what each raises.
EXECUTE = """
import ast, json, sys

file, marked = sys.argv[1], json.loads(sys.argv[2])
outcomes = {}

class Guarded(ast.NodeTransformer):
    def visit(self, node):
        self.generic_visit(node)
        if not isinstance(node, ast.stmt) or node.lineno not in marked:
            return node
        guarded = ast.parse(f'''
try: pass
except Exception as error: outcomes[{node.lineno}] = type(error).__name__
else: outcomes[{node.lineno}] = "silent"
''').body[0]
        guarded.body = [node]
        return guarded

tree = ast.fix_missing_locations(Guarded().visit(ast.parse(open(file).read())))
exec(compile(tree, file, "exec"), {"__name__": "__main__", "outcomes": outcomes})
print(json.dumps(outcomes))
"""


def marks(checker: str = "") -> dict[int, str]:
    """Return the lines with a mistake that a checker should find -> what happens there."""
    found = enumerate(map(_MARK.search, TYPED.read_text().splitlines()), start=1)
    return {line: mark["outcome"] for line, mark in found if mark and mark["unless"] != checker}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the program, and with the examples of the page on the API."""
    made = tmp_path_factory.mktemp("typed")
    shutil.copy(TYPED, made)
    examples = [block.text for block in guides.blocks("reference/api.md") if block.kind == "python"]
    for number, text in enumerate(examples):
        (made / f"example_{number}.py").write_text(text)
    (made / "pyrightconfig.json").write_text(json.dumps(PYRIGHT))
    return made


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_type_checker_finds_every_mistake_and_no_other(checker: str, folder: Path) -> None:
    parts.need(checker)
    done = subprocess.run(
        [sys.executable, "-m", checker, *CHECKERS[checker]],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    reported = {(name, int(line)) for name, line in _REPORTED.findall(done.stdout)}
    mistakes = {(TYPED.name, line) for line in marks(checker)}
    said = f"{done.stdout}{done.stderr}"
    assert (mistakes - reported, reported - mistakes) == (set(), set()), said
    assert done.returncode == 1, said


def test_each_mistake_is_one() -> None:
    """When it is executed, it raises what its mark says; nothing else in the program raises."""
    expected = marks()
    done = python("-c", EXECUTE, str(TYPED), json.dumps([*expected]))
    assert (done.returncode, done.stderr) == (0, "")
    outcomes = json.loads(done.stdout.splitlines()[-1])
    assert {int(line): outcome for line, outcome in outcomes.items()} == expected


@pytest.mark.parametrize(
    ("system", "lacks"), [("win32", {"fork", "memfd_create"}), ("darwin", {"memfd_create"})]
)
def test_no_name_that_a_system_lacks_is_used_without_a_guard(
    system: str, lacks: set[str], tmp_path: Path
) -> None:
    """mypy knows which names of Python's modules exist where, and which ``if`` keeps them apart.

    ``unguarded.py`` shows that it looks; ``OF_NO_SYSTEM``, that it looks into every module.
    """
    parts.need("mypy")
    (tmp_path / "unguarded.py").write_text("import os\nos.fork()\nos.memfd_create('a')\n")
    options = ["--config-file=", "--check-untyped-defs", "--ignore-missing-imports"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", *options, "--no-site-packages", "--platform", system),
            *("--cache-dir", str(tmp_path), "-p", "tlsfloor", "-m", "unguarded"),
        ],
        cwd=TESTS.parent,
        env=clean_environment(MYPYPATH=str(tmp_path)),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    found = re.findall(r"^(.+): error: Module has no attribute \"(\w+)\"", done.stdout, re.M)
    in_package = [(name, place) for place, name in found if place.startswith("tlsfloor")]
    in_control = [name for place, name in found if not place.startswith("tlsfloor")]
    assert set(in_control) == lacks, f"{done.stdout}{done.stderr}"
    assert {name for name, _ in in_package} == set(OF_NO_SYSTEM), in_package


def test_the_types_name_what_is_accepted() -> None:
    assert typing.get_args(_types.FloorName) == tuple(versions.FLOORS)
    annotations = tlsfloor.enforce.__annotations__
    policies = f"Literal{[*policy.POLICIES]}"
    assert annotations["mode"] == f"Literal{[*policy.MODES]}"
    assert annotations["uncovered"] == annotations["unknown"] == f"{policies} | None"
    assert annotations["stacks"] == f"Mapping[str, {policies}] | None"
    parts_of_status = outputs.schema("status")["$defs"]
    for kind in (_types.Arming, _types.Exemption):
        assert list(kind.__annotations__) == parts_of_status[kind.__name__.lower()]["required"]
    assert list(_types.Counts.__annotations__) == list(floor.counts)
    in_json = parts_of_status["library"]["required"]
    assert list(_types.Library.__annotations__) == in_json[: len(_types.Library.__annotations__)]
