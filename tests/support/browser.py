"""A real Chromium without a window, asked through its own protocol.

It loads a page as it is: what it would fetch, what its policy forbids and what goes wrong in it
comes back as events, and questions are answered by its own layout. (A script put into the page to
measure it would change it, and the page forbids scripts.)
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

from programs import clean_environment

#: Seconds for one answer. Generous: nothing here is about speed.
TIME_LIMIT = 60

#: Width and height of a window, and whether it is a phone's.
PHONE, DESKTOP = (360, 740, True), (1280, 900, False)


class Browser:
    """A Chromium with a profile of its own, and one page in it."""

    def __init__(self, program: str, folder: Path) -> None:
        commands, self._to = os.pipe()
        self._from, answers = os.pipe()
        options = [
            "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
            "--disable-dev-shm-usage", "--disable-background-networking", "--disable-extensions",
            "--disable-component-update", f"--user-data-dir={folder}", "--remote-debugging-pipe",
        ]  # fmt: skip
        # It reads commands from 3 and answers on 4.
        command = f"exec {shlex.join([program, *options])} 3<&{commands} 4>&{answers}"
        self._process = subprocess.Popen(
            ["bash", "-c", command],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(HOME=str(folder)),
        )
        os.close(commands)
        os.close(answers)
        self._buffer = b""
        self._numbers = itertools.count(1)
        #: What was reported without being asked: (method, its parameters).
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._session: dict[str, str] = {}
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.ask(f"{domain}.enable")

    def close(self) -> None:
        """End it."""
        try:
            self._session = {}
            self.ask("Browser.close")
        finally:
            os.close(self._to)
            try:
                self._process.wait(TIME_LIMIT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            os.close(self._from)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command, and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **self._session}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result

    def wait_for(self, method: str) -> None:
        """Wait until it was reported."""
        while all(name != method for name, _ in self.events):
            self._next()

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + TIME_LIMIT
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(0, end - time.monotonic()))
            assert ready, "Chromium does not answer"
            more = os.read(self._from, 2**16)
            assert more, "Chromium has ended"
            self._buffer += more
        message, _, self._buffer = self._buffer.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        if "method" in told:
            self.events.append((told["method"], told["params"]))
        return told

    def open(
        self, page: Path, size: tuple[int, int, bool] = DESKTOP, scheme: str = "light"
    ) -> None:
        """Load a page, in a window of this size, for somebody who prefers light or dark."""
        width, height, phone = size
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=phone,
        )  # fmt: skip
        preferred = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", features=preferred)
        self.events.clear()
        self.ask("Page.navigate", url=page.as_uri())
        self.wait_for("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """Return what an expression of JavaScript comes to on the page."""
        told = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def picture(self) -> bytes:
        """Return the whole page as a PNG."""
        told = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(told["data"])

    def requests(self) -> list[str]:
        """Return the addresses that the page had it ask for."""
        return [
            told["request"]["url"]
            for name, told in self.events
            if name == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """Return what went wrong on the page: scripts, policy, parsing, what was not found."""
        said = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [json.dumps(told) for name, told in self.events if name in said]
