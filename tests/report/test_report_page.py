"""The page of the report in a real Chromium: on a phone, on a desk, by day and by night."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import parts
from browser import DESKTOP, PHONE, Browser
from events import BEGIN, event, handshake, many, write
from machine_reports import verified
from tlsfloor import cli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: No text of an event has a place to break, and each is as long as can be.
LONG = {
    key: f"/{key}/" + "x" * 190
    for key in ("program", "where", "library", "server_name", "suite", "text", "stack", "host")
}
HOSTILE = '<img src="http://127.0.0.1:9/x.png"><script>document.title = "taken"</script>"><b>'

EVENTS = {
    "usual": [
        *many(3000),
        event("refused", program="/srv/old.py", asked="TLS 1.0", where="/srv/old.py:31"),
        event("raised", program="/srv/old.py", asked="TLS 1.0", count=12),
        event("uncovered", program="/srv/sync.py", stack="FreeTDS"),
        handshake("TLS 1.0", server_name="printer.example"),
        {**handshake("TLS 1.0", server_name="printer.example"), "kind": "exempted"},
    ],
    "fine": [handshake(time=BEGIN + 3600 * number, count=number + 1) for number in range(40)],
    "once": [handshake("TLS 1.2")],
    "nothing": [],
    "long": [handshake("TLS 1.0", **LONG), handshake(**LONG), event("uncovered", **LONG)],
    "hostile": [
        handshake("TLS 1.0", **dict.fromkeys(LONG, HOSTILE)),
        event("uncovered", **dict.fromkeys(LONG, HOSTILE)),
    ],
}

#: Reports of machines, and events that came before them.
FLEETS = {
    "fleet": (
        [*many(50), verified("web-1", 9e5, "enforced"), verified("web-2", 9e5, "leaks", "/old")],
        [
            handshake("TLS 1.0", time=BEGIN + 9e5),
            *(verified(f"web-{number}", 0, "enforced", owner="payments") for number in range(30)),
            *(verified(f"db-{number}", 5e5, "inconclusive", owner="data") for number in range(9)),
            verified("web-1", 0, "leaks"),
            verified("cache-1", 0, "lowerable", image="registry.example/shop/cache:1.2.3"),
        ],
    ),
    "long fleet": (
        [verified(LONG["host"], 9e5, "enforced", LONG["program"])],
        [verified(LONG["host"], 5e5, "leaks", LONG["program"], owner=LONG["text"])],
    ),
    "hostile fleet": (
        [verified(HOSTILE, 9e5, "enforced", HOSTILE)],
        [verified(HOSTILE, 5e5, "leaks", HOSTILE, owner=HOSTILE, image=HOSTILE)],
    ),
}

#: Of all elements that have text of their own, the least contrast with what they stand on.
CONTRAST = """
(() => {
  const luminance = ([r, g, b]) => [r, g, b]
    .map((each) => each / 255)
    .map((each) => each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, index) => sum + each * [0.2126, 0.7152, 0.0722][index], 0);
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = numbers(getComputedStyle(each).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  return Math.min(...[...document.body.querySelectorAll("*")]
    .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((each) => !each.closest("svg"))
    .map((each) => {
      const pair = [numbers(getComputedStyle(each).color), ground(each)].map(luminance);
      return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    }));
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(parts.need_program("chromium"), tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=[*EVENTS, *FLEETS])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    before, now = FLEETS.get(request.param, ([], EVENTS.get(request.param, [])))
    more = []
    if before:
        file = write(folder / "before.jsonl", *before)
        earlier = str(folder / "earlier.json")
        cli.main(["report", str(file), "--json", "--output", earlier])
        more = ["--since", earlier, "--silent", "3"]
    file = write(folder / "events.jsonl", *now)
    there = folder / "report.html"
    cli.main(["report", str(file), *more, "--format", "html", "--output", str(there)])
    assert ("Since the report of" in there.read_text()) == bool(before)
    return there


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_page_loads_nothing_and_fits(
    browser: Browser, page: Path, size: tuple[int, int, bool], scheme: str
) -> None:
    browser.open(page, size, scheme)
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []
    title = browser.value("document.title")
    assert "loor 1.2 would break " in title or title == "Floor 1.2 is not held everywhere"
    assert browser.value("document.compatMode") == "CSS1Compat"
    wide = "[document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]"
    root, body, window = browser.value(wide)
    assert window == size[0]
    assert max(root, body) <= window
    # WCAG 2.2, 1.4.3: level AA.
    assert browser.value(CONTRAST) >= 4.5
    ground = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(251, 250, 248)") == (scheme == "light")


def test_the_browser_reports_a_page_that_does_not_fit(browser: Browser, tmp_path: Path) -> None:
    """The control: a page with every mistake that the tests above look for."""
    page = tmp_path / "bad.html"
    page.write_text(
        "<!DOCTYPE html><meta name=viewport content='width=device-width'>"
        "<img src='http://127.0.0.1:9/x.png'><script>nothing.at.all</script>"
        "<p style='width: 900px; color: #888; background: #999'>wide"
    )
    browser.open(page, PHONE)
    assert "http://127.0.0.1:9/x.png" in browser.requests()
    assert any("nothing is not defined" in each for each in browser.complaints())
    assert browser.value("document.documentElement.scrollWidth") > 360
    assert browser.value(CONTRAST) < 2


def test_each_version_has_a_timeline(browser: Browser, tmp_path: Path) -> None:
    made = [handshake("TLS 1.0", time=BEGIN)]
    made += [handshake(time=BEGIN + 86400 * day, count=10**6) for day in range(20)]
    page = tmp_path / "report.html"
    file = write(tmp_path / "events.jsonl", *made)
    cli.main(["report", str(file), "--format", "html", "--output", str(page)])
    browser.open(page, PHONE)
    sizes = """[...document.querySelectorAll("svg")].map((svg) =>
        [...svg.querySelectorAll("rect")].map((bar) => {
            const {width, height} = bar.getBoundingClientRect();
            return [width, height];
        }))"""
    old, new = browser.value(sizes)
    assert (len(old), len(new)) == (1, 20)
    # The one next to millions is as visible.
    assert all(width >= 2 and height >= 30 for width, height in [*old, *new])
    assert (
        browser.value("document.querySelector('rect title').textContent") == "2025-03-03 06:00: 1"
    )


def test_on_a_phone_the_cells_of_a_row_are_stacked(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    file = write(tmp_path / "events.jsonl", handshake("TLS 1.0"))
    cli.main(["report", str(file), "--format", "html", "--output", str(page)])
    cells = """[...document.querySelectorAll("tbody tr")[0].cells].map((cell) => [
        Math.round(cell.getBoundingClientRect().top),
        getComputedStyle(cell, "::before").content,
    ])"""
    browser.open(page, PHONE)
    found = browser.value(cells)
    assert [label for _, label in found] == [
        '"What"', '"Count"', '"Program"', '"Peer"', '"Last seen"', '"Run next"',
    ]  # fmt: skip
    assert [top for top, _ in found] == sorted({top for top, _ in found})
    browser.open(page, DESKTOP)
    found = browser.value(cells)
    assert {label for _, label in found} == {"none"}
    assert len({top for top, _ in found}) == 1


def test_a_picture_can_be_taken(browser: Browser, page: Path, tmp_path: Path) -> None:
    browser.open(page, PHONE, "dark")
    picture = browser.picture()
    (tmp_path / "page.png").write_bytes(picture)  # pytest --basetemp keeps it, to look at
    assert picture.startswith(b"\x89PNG")
