"""The links, tables, messages and examples of the documentation are correct, and its pages work."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import subprocess
import textwrap
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import parts
import pytest
from follow import Reader
from programs import clean_environment, python

import guides
import outputs
import tlsfloor
from tlsfloor import floor, policy, versions
from tlsfloor.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = guides.DOCS.parent
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob(".github/*.md"),
        *ROOT.glob("changelog.d/*.md"),
        *guides.DOCS.glob("*/*.md"),
        *guides.DOCS.glob("*.md"),
    ]
)


# --- links


def parsed(page: Path) -> list[Any]:
    parts.need("markdown_it")
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and the site make them."""
    tokens = parsed(page)
    found: set[str] = set()
    for before, token in zip(tokens, tokens[1:]):
        if before.type == "heading_open":
            text = "".join(each.content for each in token.children)
            found.add(re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-"))
    return found


def links(page: Path) -> Iterator[str]:
    for token in parsed(page):
        for each in token.children or ():
            if each.type in ("link_open", "image"):
                yield str(each.attrs.get("href") or each.attrs.get("src"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_target_of_every_link_exists(page: Path) -> None:
    for link in links(page):
        url = urlsplit(link)
        if url.scheme:
            assert url.scheme == "https", link
            continue
        # The entries of the changelog are written for the file that they become part of.
        entry = page.parent.name == "changelog.d" and page.name != "README.md"
        folder = ROOT if entry else page.parent
        target = folder / unquote(url.path) if url.path else page
        assert target.exists(), link
        assert not url.fragment or url.fragment in anchors(target), link


def test_the_pages_have_links_to_check() -> None:
    assert sum(1 for page in PAGES for _ in links(page)) > 20


def test_the_source_refers_to_pages_that_exist() -> None:
    """Docstrings, comments and messages name pages, and the design names tests."""
    folders = ("tlsfloor", "tests", "benchmarks", "docs", ".ci", ".github")
    kinds = {".py", ".md", ".yml", ".sh", ""}
    files = [each for folder in folders for each in (ROOT / folder).rglob("*")]
    found = set()
    for file in [*files, *ROOT.glob("*")]:
        if file.suffix in kinds and file.is_file() and not {"_build", "corpus"} & {*file.parts}:
            found |= set(
                re.findall(r"\bdocs/[\w-]+/[\w-]+\.md(?:#[\w-]+)?", file.read_text("utf-8"))
            )
    for page, _, anchor in (each.partition("#") for each in found):
        assert (ROOT / page).exists(), page
        assert not anchor or anchor in anchors(ROOT / page), (page, anchor)
    assert "docs/explanation/design.md#rules-of-evidence" in found
    tests = re.findall(r"`(tests/[\w/]+\.py)`", (guides.DOCS / DESIGN).read_text("utf-8"))
    assert len(tests) > 10
    assert [test for test in tests if not (ROOT / test).exists()] == []


# --- tables and examples

DESIGN = "explanation/design.md"

API = "reference/api.md"


def _is_python(block: guides.Block) -> bool:
    return block.kind == "python"


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head row."""
    text = (guides.DOCS / page).read_text("utf-8").partition(f"{heading}\n")[2]
    table = text[text.index("| --- ") :].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table]


@pytest.mark.parametrize("row", rows("reference/environment.md", "## The strictest wins"), ids=str)
def test_a_process_starts_with_the_floor_that_the_table_says(row: list[str]) -> None:
    installed, floor, cluster, outcome = row
    given = {"TLSFLOOR": floor, "TLS_MIN_VERSION": cluster}
    environment = {name: value for name, value in given.items() if value}
    if outcome == "an error":
        with pytest.raises(PolicyError):
            policy.startup_floor(environment)
        return
    assert (policy.is_off(environment) and not installed) is (outcome == "no floor")
    if outcome != "no floor":
        assert policy.startup_floor(environment, installed or None) == versions.parse(outcome)


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("# Environment variables", policy.VARIABLES),
        ("## When the floor cannot be held", policy.OUTCOMES),
    ],
)
def test_every_variable_and_outcome_is_described(heading: str, names: tuple[str, ...]) -> None:
    assert {row[0] for row in rows("reference/environment.md", heading)} == set(names)


def test_the_keys_of_an_event_are_those_of_the_page() -> None:
    cells = [row[0] for row in rows("reference/events.md", "# Events")]
    described = [key.strip(" `") for cell in cells for key in cell.split(",")]
    assert set(described) == set(outputs.schema("event")["properties"])


def test_examples_of_json_in_pages_are_valid() -> None:
    kinds = {"how-to/verify.md": ("verify", "case")}
    for page, (command, part) in kinds.items():
        [example] = [each.text for each in guides.blocks(page) if each.kind == "json"]
        outputs.validate_json(command, json.loads(example), part)


def test_every_public_name_is_described() -> None:
    page = (guides.DOCS / API).read_text("utf-8")
    assert set(re.findall(r":: tlsfloor\.(\w+)(?:\(\))?$", page, re.MULTILINE)) - {"errors"} == set(
        tlsfloor.__all__
    )


@pytest.mark.parametrize("number", range(sum(map(_is_python, guides.blocks(API)))))
def test_an_example_of_the_api_runs(number: int) -> None:
    program = list(filter(_is_python, guides.blocks(API)))[number].text
    done = python("-c", program)
    assert (done.returncode, done.stderr) == (0, ""), program


# --- error messages

TROUBLESHOOTING = (guides.DOCS / "how-to" / "troubleshooting.md").read_text("utf-8")
MESSAGES = re.findall(r"^### `(.+)`$", TROUBLESHOOTING, re.MULTILINE)


@pytest.fixture(scope="module")
def literals() -> list[str]:
    """Return every string in the source of the package."""
    files = Path(tlsfloor.__file__).parent.rglob("*.py")
    trees = [ast.parse(file.read_text("utf-8")) for file in files]
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [node.value for node in nodes if isinstance(node.value, str)]


@pytest.mark.parametrize("message", MESSAGES)
def test_tlsfloor_has_each_message_of_the_troubleshooting_page(
    message: str, literals: list[str]
) -> None:
    for part in filter(None, message.split("…")):
        assert any(part.strip() in each for each in literals), part


def test_the_example_of_a_guard_in_contributing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    [example] = re.findall(
        r"^ *```python\n(.*?)^ *```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.M | re.S
    )
    names: dict[str, Any] = {}
    exec(textwrap.dedent(example), names)  # noqa: S102 - it is our own text

    class Session:
        def __init__(self, port: int, minimum: int = 0) -> None:
            self.minimum = minimum

    monkeypatch.setattr(floor, "held", versions.TLS1_2)
    monkeypatch.setattr(floor, "counts", dict.fromkeys(floor.counts, 0))
    library = types.SimpleNamespace(Session=Session)
    assert names["guard"](library) == "guarded"
    assert Session(443, versions.TLS1_0).minimum == versions.TLS1_2
    assert Session(443, versions.TLS1_3).minimum == versions.TLS1_3
    assert floor.counts["clamped"] == 1


# --- pages that a reader follows

GET = "how-to/get-tlsfloor.md"
TUTORIAL = "tutorial/first-floor.md"
ARM = "how-to/arm.md"


def debian_12() -> bool:
    """Return whether the Python of the system is the one in the README."""
    question = (
        "import ssl, sysconfig as s;"
        "print(ssl.OPENSSL_VERSION_INFO[:2], s.get_config_var('PY_SSL_DEFAULT_CIPHERS'))"
    )
    try:
        command = ["/usr/bin/python3", "-c", question]
        return subprocess.check_output(command, text=True, env=clean_environment()) == "(3, 0) 2\n"
    except (OSError, subprocess.CalledProcessError):
        return False


@pytest.mark.timeout(600)
def test_the_readmes_first_commands_print_what_it_shows(tmp_path: Path) -> None:
    if not debian_12():
        pytest.skip("the transcript is from Debian 12's Python")
    start, end = "<!-- transcript -->\n```console\n", "```\n<!-- end of transcript -->"
    shown = (ROOT / "README.md").read_text("utf-8").partition(start)[2].partition(end)[0]
    with contextlib.closing(Reader(tmp_path, start="tlsfloor")) as reader:
        reader.read(guides.Block("console", "", shown))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [GET, TUTORIAL, ARM])
def test_the_page_does_what_it_says(tmp_path: Path, page: str) -> None:
    start = "tlsfloor" if page == GET else "."
    with contextlib.closing(Reader(tmp_path, start=start, ports=["8443"])) as reader:
        if page == ARM:  # it begins where tlsfloor is installed
            reader.read(guides.blocks(TUTORIAL)[0])
        for block in guides.blocks(page):
            reader.read(block)
