"""The package itself: public names, cost of its import, errors, and which module imports which."""

from __future__ import annotations

import ast
import copy
import importlib
import io
import pickle
import ssl
import tokenize
from pathlib import Path

import pytest

import tlsfloor
from programs import clean_environment, python
from tlsfloor import errors
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(tlsfloor.__file__).parent

#: The order of CONTRIBUTING.md, "The house": a module imports only modules of a lower rank, or of
#: its own folder.
RANKS = {
    "errors": 0,
    "floor": 0,
    "versions": 0,
    "_safe_open": 0,
    "wire": 1,
    "events": 1,
    "exemptions": 1,
    "policy": 1,
    "inventory": 2,
    "peers": 2,
    "stacks": 3,
    "verifier": 3,
    "endpoints": 3,
    "hooks": 4,
    "startup": 5,
    "metrics": 5,
    "arm": 6,
    "neighbours": 6,
    "start": 7,
    "_status": 7,
    "_enforce": 8,
    "bootstrap": 8,
    "deploy": 8,
    "report": 8,
    "cli": 9,
    "testing": 9,
    "_types": 9,
    "__init__": 10,
    "__main__": 10,
}

#: The command line is a user of the face like any other; the face never loads it.
USERS_OF_THE_FACE = {"deploy", "cli", "__main__"}

#: The types of the public calls. Every module may import them for type checkers.
TYPES_OF_THE_FACE = {"_types", "_status"}

#: What holds a floor, and what judges whether one is held.
JUDGED = {
    "floor",
    "events",
    "exemptions",
    "metrics",
    "policy",
    "stacks",
    "hooks",
    "startup",
    "arm",
    "_safe_open",
}
JUDGES = {"inventory", "peers", "verifier", "endpoints"}

#: The most lines of a module, and the most lines of code of the package: not blank, no comment, no
#: docstring. The second limit is to fall below 11,000.
MAX_LINES = 400
MAX_CODE_LINES = 17_720
NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}

#: All that the judges may share with what they judge.
SHARED_WITH_THE_JUDGES = {"errors", "versions", "wire"}


def imports() -> Iterator[tuple[str, str, str]]:
    """Yield (file, part of the package it belongs to, part that it imports) for our imports.

    The types of the face are left out where only type checkers import them.
    """
    for file in sorted(PACKAGE.rglob("*.py")):
        place = file.relative_to(PACKAGE)
        part = place.parts[0] if len(place.parts) > 1 else place.stem
        tree = ast.parse(file.read_text())
        not_executed = {
            each
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
            for each in node.body
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{place} imports relatively, which nobody here does"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                if name.split(".")[0] == "tlsfloor":
                    imported = name.split(".")[1:2]
                    if node in not_executed and set(imported) <= TYPES_OF_THE_FACE:
                        continue
                    # A name that is no module, such as __version__, is the face's.
                    known = imported and imported[0] in RANKS
                    yield str(place), part, imported[0] if known else "__init__"


def test_every_module_has_a_rank_and_imports_only_lower_ones() -> None:
    found = list(imports())
    assert {part for _, part, _ in found} <= RANKS.keys()
    assert len(found) > 20  # or nothing was looked at
    wrong = [
        f"{place} ({part}) imports {imported}"
        for place, part, imported in found
        if part != imported
        and RANKS[imported] >= RANKS[part]
        and not (imported == "__init__" and part in USERS_OF_THE_FACE)
    ]
    assert wrong == []


def test_judge_and_judged_share_only_errors_versions_and_wire() -> None:
    """So a fault of enforcement cannot hide from verification."""
    found = {(part, imported) for _, part, imported in imports() if part != imported}
    of_judges = {imported for part, imported in found if part in JUDGES}
    of_judged = {imported for part, imported in found if part in JUDGED}
    assert of_judges - JUDGES <= SHARED_WITH_THE_JUDGES
    assert of_judged & JUDGES == set()
    assert of_judges


def test_no_module_touches_the_filters_of_warnings() -> None:
    """They belong to the program, and ``catch_warnings()`` is not safe with threads."""
    touch = {"catch_warnings", "simplefilter", "filterwarnings", "resetwarnings"}
    found = [
        str(file.relative_to(PACKAGE))
        for file in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in touch
    ]
    assert found == ["verifier/probe.py"]  # which is a process of its own


def code_lines(file: Path) -> int:
    """Return the number of lines of a file that are not blank, comment or docstring."""
    text = file.read_text()
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            lines |= {*range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            lines -= {*range(node.body[0].lineno, node.body[0].end_lineno + 1)}
    return len(lines)


def test_no_module_is_too_long_to_read() -> None:
    lengths = {
        str(file.relative_to(PACKAGE)): len(file.read_text().splitlines())
        for file in PACKAGE.rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_the_package_stays_small() -> None:
    assert sum(map(code_lines, PACKAGE.rglob("*.py"))) < MAX_CODE_LINES


def test_importing_the_package_imports_nothing_else() -> None:
    program = "import sys; old = set(sys.modules); import tlsfloor; print(*{*sys.modules} - old)"
    done = python("-c", program, env=clean_environment(PYTHONPATH=str(PACKAGE.parent)))
    assert (done.stdout.split(), done.stderr) == (["tlsfloor"], "")


def test_a_start_with_tls_does_not_execute_the_package() -> None:
    """It would make arming 3% more expensive in each process with TLS."""
    program = "import ssl, sys; print('__all__' in vars(sys.modules['tlsfloor']))"
    done = python("-c", program, env=clean_environment(PYTHONPATH=str(PACKAGE / "bootstrap")))
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_names_for_type_checkers_are_not_loaded() -> None:
    """They would make each start more expensive."""
    looked_at = 0
    for file in (*PACKAGE.glob("[!_]*.py"), *PACKAGE.glob("stacks/*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                name = ".".join(["tlsfloor", *file.relative_to(PACKAGE).with_suffix("").parts])
                try:
                    module = importlib.import_module(name.replace(".__init__", ""))
                except ImportError:  # of a library that is not installed
                    continue
                imported = (each for each in node.body if isinstance(each, ast.ImportFrom))
                names = {alias.name for each in imported for alias in each.names}
                assert not names & vars(module).keys(), name
                looked_at += 1
    assert looked_at > 10


def test_arming_does_not_import_ssl() -> None:
    """gevent and eventlet can still patch it, and TLS costs nothing if it is not used."""
    program = """
import sys, tlsfloor
status = tlsfloor.enforce("1.2")
print("ssl" in sys.modules, bool(status))
"""
    done = python("-c", program, env=clean_environment(PYTHONPATH=str(PACKAGE.parent)))
    assert (done.stdout.split(), done.stderr) == (["False", "True"], "")


def test_all_is_what_is_public() -> None:
    for name in tlsfloor.__all__:
        module = getattr(tlsfloor, name).__module__
        assert module.startswith("tlsfloor.") or name == "Floor", name
        assert name in dir(tlsfloor)
    program = (
        "from tlsfloor import *; print(*sorted(name for name in dir() if not name.startswith('_')))"
    )
    done = python("-c", program, env=clean_environment(PYTHONPATH=str(PACKAGE.parent)))
    assert done.stdout.split() == sorted(tlsfloor.__all__), done.stderr
    with pytest.raises(AttributeError, match="no attribute 'arming'"):
        tlsfloor.arming  # noqa: B018 - the look is what fails


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {*tlsfloor.__all__, "errors"}
    program = "import tlsfloor; print(tlsfloor.errors.PolicyError is tlsfloor.PolicyError)"
    done = python("-c", program, env=clean_environment(PYTHONPATH=str(PACKAGE.parent)))
    assert done.stdout == "True\n", done.stderr


def error_classes() -> list[type[errors.TLSFloorError]]:
    names = [name for name in tlsfloor.__all__ if name.endswith(("Error", "Refused"))]
    return [getattr(tlsfloor, name) for name in names]


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_errors_survive_pickling_and_copying(kind: type[errors.TLSFloorError]) -> None:
    """multiprocessing pickles errors; unittest and others copy them."""
    args = (1, "what went wrong") if issubclass(kind, ssl.SSLError) else ("what went wrong",)
    error = kind(*args, hint="what to do", floor="1.2", findings=("one", "two"))
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert again.args == error.args
        assert str(again) == str(error) == "what went wrong; hint: what to do"
        assert again.problem == "what went wrong"
        assert vars(again) == vars(error)
        assert again.floor == "1.2"


@pytest.mark.parametrize(
    ("kind", "caught_as"),
    [
        (errors.PolicyError, ValueError),
        (errors.GuardError, ImportError),
        (errors.FloorNotHeldError, RuntimeError),
        (errors.VerifyError, RuntimeError),
        (errors.InstallError, RuntimeError),
        (errors.ProtocolRefused, ssl.SSLError),
        (errors.ProtocolRefused, OSError),
    ],
)
def test_errors_are_caught_as_what_callers_catch_already(
    kind: type[errors.TLSFloorError], caught_as: type[Exception]
) -> None:
    assert issubclass(kind, caught_as)
    assert issubclass(kind, errors.TLSFloorError)
    assert str(kind("nothing but a text")) in ("nothing but a text", "('nothing but a text',)")


def test_every_error_is_public() -> None:
    made = {name for name, value in vars(errors).items() if isinstance(value, type)} | {
        "ProtocolRefused"
    }
    assert made == {kind.__name__ for kind in error_classes()}


def test_errors_are_raised_with_attributes_that_they_declare() -> None:
    """So type checkers know each attribute. ``GuardError.findings`` is set later."""
    tree = ast.parse((PACKAGE / "errors.py").read_text())
    declared: dict[str, set[str]] = {kind.__name__: {"hint"} for kind in error_classes()}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            names = [each.target.id for each in node.body if isinstance(each, ast.AnnAssign)]
            declared[node.name].update(names)
    given: dict[str, set[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if name in declared:
                given.setdefault(name, set()).update(each.arg for each in node.keywords)
    assert {name: keywords - declared[name] for name, keywords in given.items()} == {
        name: set() for name in given
    }
    assert given["FloorNotHeldError"] == {"hint", "status"}


def test_the_error_of_require_has_the_status_also_in_another_process() -> None:
    with pytest.raises(errors.FloorNotHeldError) as caught:
        tlsfloor.require("1.2")
    status = caught.value.status
    assert isinstance(status, tlsfloor.Status)
    assert not status
    assert pickle.loads(pickle.dumps(caught.value)).status.as_dict() == status.as_dict()
    assert status.problems[0] in str(caught.value)
