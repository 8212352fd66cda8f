"""The documentation: its links lead somewhere; its tables, messages and tutorial are true."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import parts
import pytest
from programs import armed_environment, clean_environment, python

import guides
import tlsfloor
from terminal import Terminal, as_shown
from tlsfloor import policy, versions
from tlsfloor.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = guides.DOCS.parent
PAGES = sorted([*ROOT.glob("*.md"), *guides.DOCS.glob("*/*.md"), *guides.DOCS.glob("*.md")])


# --- links


def parsed(page: Path) -> list[Any]:
    parts.need("markdown_it")
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """Return what can follow # in a link: the headings, as GitHub and the site write them."""
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
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        url = urlsplit(link)
        if url.scheme:
            assert url.scheme == "https", link
            continue
        target = page.parent / unquote(url.path) if url.path else page
        assert target.exists(), link
        assert not url.fragment or url.fragment in anchors(target), link


def test_links_are_looked_at() -> None:
    assert sum(1 for page in PAGES for _ in links(page)) > 20


# --- tables and examples

API = "reference/api.md"


def _is_python(block: guides.Block) -> bool:
    return block.kind == "python"


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
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
            policy.start_up_floor(environment)
        return
    assert (policy.is_off(environment) and not installed) is (outcome == "no floor")
    if outcome != "no floor":
        assert policy.start_up_floor(environment, installed or None) == versions.parse(outcome)


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("# Environment variables", policy.VARIABLES),
        ("## When the floor cannot be held", policy.OUTCOMES),
    ],
)
def test_every_variable_and_outcome_is_described(heading: str, names: tuple[str, ...]) -> None:
    assert {row[0] for row in rows("reference/environment.md", heading)} == set(names)


@pytest.mark.parametrize("command", ["status", "stacks"])
def test_the_keys_of_the_json_are_those_of_the_page(command: str) -> None:
    done = python("-m", "tlsfloor", command, "--json", env=armed_environment())
    described = [row[0] for row in rows("reference/status.md", f"## tlsfloor {command}")]
    assert described == list(json.loads(done.stdout)), done.stderr


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
    """Return every string that stands in the source of the package."""
    files = Path(tlsfloor.__file__).parent.rglob("*.py")
    trees = [ast.parse(file.read_text("utf-8")) for file in files]
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [node.value for node in nodes if isinstance(node.value, str)]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_the_troubleshooting_page_is_one_of_ours(
    message: str, literals: list[str]
) -> None:
    for part in filter(None, message.split("…")):
        assert any(part.strip() in each for each in literals), part


# --- the pages that a reader follows from the checkout on

GET = "how-to/get-tlsfloor.md"
TUTORIAL = "tutorial/first-floor.md"
ARM = "how-to/arm.md"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return a folder that holds a checkout of tlsfloor, and nothing else."""
    checkout = tmp_path / "tlsfloor"
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tlsfloor", checkout / "tlsfloor", ignore=without)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    return tmp_path


class Reader:
    """Does what a page says, in two terminals."""

    def __init__(self, folder: Path) -> None:
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        self.env = clean_environment(PATH=path, PIP_NO_INPUT="1")
        self.client = Terminal(folder, self.env)
        self.server: Terminal | None = None
        self.port = "0"  # the first server takes a free one, and all that follows uses it

    @property
    def folder(self) -> Path:
        """The folder that the first terminal is in."""
        return Path(self.client.run("pwd")[1].strip())

    def read(self, kind: str, name: str, text: str) -> None:
        text = text.replace("8443", self.port)
        if name.startswith("file: "):
            (self.folder / name[len("file: ") :]).write_text(text)
        elif name == "terminal: server":
            (self.serve if kind == "console" else self.look)(text)
        elif kind == "console":
            self.work(text)

    def work(self, text: str) -> None:
        for command, shown in guides.commands(text):
            status, printed = self.client.run(command)
            if command.startswith("pip "):  # whose warnings are its own affair
                if status:
                    parts.leave_out("what pip installs", printed)
                continue
            assert (status, as_shown(shown, printed)) == (0, True), (command, printed)

    def serve(self, text: str) -> None:
        if self.server:
            self.server.interrupt()
        else:
            self.server = Terminal(self.folder, self.env)
        for command, shown in guides.commands(text):
            self.server.type(command)
            for line in shown.partition("[…]")[0].splitlines():
                printed = self.until("speaking " if line.startswith("speaking ") else "")
                listening = re.match(r"listening on 127\.0\.0\.1:(\d+)", printed)
                self.port = listening[1] if listening else self.port
                assert as_shown(line.replace(":0,", f":{self.port},"), printed), printed

    def look(self, text: str) -> None:
        printed = self.until("127.0.0.1:")
        assert as_shown(text, f"{printed}\n"), printed

    def until(self, beginning: str) -> str:
        """Return the next line of the server that begins so."""
        assert self.server
        while True:
            printed = self.server.line()
            assert printed, "the server ended"
            if printed.startswith(beginning):
                return printed.rstrip()

    def end(self) -> None:
        for terminal in filter(None, (self.client, self.server)):
            terminal.end()


def debian_12() -> bool:
    """Tell whether the Python of the system is the one that the README speaks of."""
    question = (
        "import ssl, sysconfig as s;"
        "print(ssl.OPENSSL_VERSION_INFO[:2], s.get_config_var('PY_SSL_DEFAULT_CIPHERS'))"
    )
    try:
        command = ["/usr/bin/python3", "-c", question]
        return subprocess.check_output(command, text=True, env=clean_environment()) == "(3, 0) 2\n"
    except (OSError, subprocess.CalledProcessError):
        return False


def test_the_readmes_first_commands_print_what_it_shows(here: Path) -> None:
    if not debian_12():
        pytest.skip("the transcript is one of Debian 12's Python")
    start, end = "<!-- transcript -->\n```console\n", "```\n<!-- end of transcript -->"
    shown = (ROOT / "README.md").read_text("utf-8").partition(start)[2].partition(end)[0]
    reader = Reader(here / "tlsfloor")
    try:
        (install, _), (verify, table) = guides.commands(shown)
        status, printed = reader.client.run(install)
        if status:
            parts.leave_out("what pip installs", printed)
        assert reader.client.run(verify)[1] == table
    finally:
        reader.end()


@pytest.mark.parametrize("page", [GET, TUTORIAL, ARM])
def test_the_page_does_what_it_says(here: Path, page: str) -> None:
    reader = Reader(here / "tlsfloor" if page == GET else here)
    try:
        if page == ARM:  # which begins where tlsfloor is installed
            reader.work(guides.blocks(TUTORIAL)[0].text)
        for block in guides.blocks(page):
            reader.read(*block)
    finally:
        reader.end()
