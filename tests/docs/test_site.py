"""The site builds, is complete, loads nothing from other sites, and fits in a real browser."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import guides
import outputs
import parts
import tlsfloor
from browser import DESKTOP, PHONE, Browser
from programs import python
from tlsfloor import cli

if TYPE_CHECKING:
    from collections.abc import Iterator


class Foreign(HTMLParser):
    """Collects the addresses on other sites from which a page loads something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":  # the browser does not load the target of a link
            self.found += [
                str(value) for name, value in attrs if "//" in str(value) and name[:5] != "xmlns"
            ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    parts.need("furo", "myst_parser", "sphinx", "sphinx_copybutton", "sphinx_design", since=(3, 11))
    folder = tmp_path_factory.mktemp("site")
    command = ["-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html"]
    done = python(*command, "-d", str(folder / "doctrees"), str(guides.DOCS), str(folder / "html"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder / "html"


def test_the_site_loads_nothing_from_other_sites(site: Path) -> None:
    for page in site.rglob("*.html"):
        parser = Foreign()
        parser.feed(page.read_text("utf-8"))
        assert parser.found == [], page
    for file in site.rglob("*.css"):
        assert not re.search(r"@import|url\(.?(https?:)?//", file.read_text("utf-8")), file


def test_signatures_show_values_and_options_two_hyphens(site: Path) -> None:
    api = (site / "reference" / "api.html").read_text("utf-8")
    defaults = re.findall(r'class="default_value"><span class="pre">(.*?)<', api)
    assert "'enforce'" in defaults
    assert not [each for each in defaults if re.search(r"[A-Z_]{2}", each)]
    for page in site.rglob("*.html"):
        assert not re.search(r"\N{EN DASH}[a-z]", page.read_text("utf-8")), page


def test_every_page_command_key_and_name_is_in_the_site(site: Path) -> None:
    for page in guides.DOCS.rglob("*.md"):
        if "_build" not in page.parts:
            assert (site / page.relative_to(guides.DOCS).with_suffix(".html")).exists()
    commands = (site / "reference" / "cli.html").read_text("utf-8")
    for name in cli.COMMANDS:
        assert f'id="tlsfloor-{name}"' in commands
    keys = (site / "reference" / "status.html").read_text("utf-8")
    for name in outputs.NAMES[:-2]:  # the last two have a page of their own
        schema = outputs.schema(name)
        for part in (schema, *schema["$defs"].values()):
            for key in part.get("properties", ()):
                assert f'<span class="pre">{key}</span>' in keys
    for name in outputs.NAMES:
        [file] = (site / "_downloads").glob(f"*/{name}.json")
        assert json.loads(file.read_text("utf-8")) == outputs.schema(name)
    api = (site / "reference" / "api.html").read_text("utf-8")
    for name in tlsfloor.__all__:
        assert f'id="tlsfloor.{name}"' in api


def test_the_manual_page_has_every_command_and_no_empty_link(tmp_path: Path) -> None:
    parts.need("furo", "myst_parser", "sphinx", "sphinx_copybutton", "sphinx_design", since=(3, 11))
    done = python("-m", "sphinx", "-W", "-n", "-q", "-b", "man", str(guides.DOCS), str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    page = (tmp_path / "tlsfloor.1").read_text("utf-8")
    for name in cli.COMMANDS:
        assert f"\n.SH TLSFLOOR {name.upper()}\n" in page
    assert "<>" not in page


# --- in a browser

#: The elements that extend beyond the window. An element that scrolls (code, tables) or is hidden
#: at the side (the menu on a phone) is not one of them.
OUTSIDE = """
(() => [...document.querySelectorAll(".content *")]
  .filter((each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .filter((each) => {
    for (let up = each.parentElement; up; up = up.parentElement)
      if (["auto", "scroll", "hidden"].includes(getComputedStyle(up).overflowX)) return false;
    return true;
  })
  .map((each) => each.outerHTML.slice(0, 120)))()
"""

#: The anchors of links to this page that do not exist on it.
BROKEN = """
[...document.querySelectorAll("a[href]")]
  .filter((each) => each.hash && each.pathname === location.pathname)
  .map((each) => decodeURIComponent(each.hash.slice(1)))
  .filter((each) => each && !document.getElementById(each))
"""

#: The files of links to other pages of the site.
LINKED = """
[...new Set([...document.querySelectorAll("a[href]")]
  .filter((each) => each.protocol === "file:")
  .map((each) => decodeURIComponent(each.pathname)))]
"""


#: The texts of pictures that are wider than the box around them.
CROWDED = """
[...document.querySelectorAll(".picture text")].filter((each) => {
  const text = each.getBBox();
  const around = [...each.ownerSVGElement.querySelectorAll("rect")]
    .map((rect) => rect.getBBox())
    .filter((box) => box.y <= text.y && box.y + box.height >= text.y + text.height)
    .filter((box) => box.x <= text.x + text.width / 2)
    .filter((box) => box.x + box.width >= text.x + text.width / 2)
    .sort((one, other) => one.width - other.width);
  const box = around[0] || each.ownerSVGElement.viewBox.baseVal;
  return text.x < box.x - 1 || text.x + text.width > box.x + box.width + 1;
}).map((each) => each.textContent)
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(parts.need_program("chromium"), tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_each_page_fits_and_its_links_work(
    browser: Browser, site: Path, size: tuple[int, int, bool], scheme: str
) -> None:
    found = {}
    for page in sorted(site.rglob("*.html")):
        browser.open(page, size, scheme)
        wide = browser.value("document.documentElement.scrollWidth")
        found[str(page.relative_to(site))] = [
            *browser.complaints(),
            *([f"{wide} pixels wide"] if wide > size[0] else []),
            *browser.value(OUTSIDE),
            *browser.value(CROWDED),
            *(f"no #{each}" for each in browser.value(BROKEN)),
            *(f"no {each}" for each in browser.value(LINKED) if not Path(each).exists()),
            *(each for each in browser.requests() if not each.startswith(("file:", "data:"))),
        ]
    assert {page: wrong for page, wrong in found.items() if wrong} == {}


#: Presses the copy button of the first transcript, and returns what it copies.
COPIED = """
(() => {
  let copied = "";
  document.execCommand = () => {
    copied = document.querySelector("body > textarea").value;
    return true;
  };
  document.querySelector(".highlight-console .copybtn").click();
  return copied;
})()
"""


def test_a_copy_button_copies_only_the_commands(browser: Browser, site: Path) -> None:
    page = "how-to/arm"
    browser.open(site / f"{page}.html")
    text = next(each.text for each in guides.blocks(f"{page}.md") if each.kind == "console")
    commands = [command for command, _ in guides.commands(text)]
    assert browser.value(COPIED).splitlines() == commands
    assert len(commands) < len(text.splitlines())  # the control: the page shows more


def test_the_browser_reports_a_page_that_does_not_fit(browser: Browser, tmp_path: Path) -> None:
    """The control: a page with every mistake that the tests above look for."""
    page = tmp_path / "bad.html"
    page.write_text(
        "<!DOCTYPE html><meta name=viewport content='width=device-width'>"
        "<script>nothing.at.all</script><div class=content><p style='width: 900px'>wide</p>"
        "<a href='#nowhere'>x</a><a href='nothing.html'>y</a></div>"
        "<svg class=picture viewBox='0 0 99 99'><rect y=1 x=1 width=30 height=50 />"
        "<text x=5 y=30>far too long for this picture</text></svg>"
    )
    browser.open(page, PHONE)
    assert any("nothing is not defined" in each for each in browser.complaints())
    assert len(browser.value(OUTSIDE)) == 1
    assert browser.value(CROWDED) == ["far too long for this picture"]
    assert browser.value(BROKEN) == ["nowhere"]
    assert str(tmp_path / "nothing.html") in browser.value(LINKED)
