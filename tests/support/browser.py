"""A Chromium without a window, controlled by the DevTools protocol.

It loads a page unchanged. Requests, violations of the page's policy and errors arrive as events,
and the browser's own layout answers questions about sizes. (A script inside the page would change
it, and the page forbids scripts.)
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

#: Seconds for one answer. No test measures speed.
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
        #: Events, which arrive unasked: (method, its parameters).
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._session: dict[str, str] = {}
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.ask(f"{domain}.enable")

    def close(self) -> None:
        """End the browser."""
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
        """Send a command, and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **self._session}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def wait_for(self, method: str) -> None:
        """Wait for an event."""
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
        received: dict[str, Any] = json.loads(message)
        if "method" in received:
            self.events.append((received["method"], received["params"]))
        return received

    def open(
        self, page: Path, size: tuple[int, int, bool] = DESKTOP, scheme: str = "light"
    ) -> None:
        """Load a page in a window of this size, with light or dark as the preferred scheme."""
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
        """Return the value of an expression of JavaScript on the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """Return the whole page as a PNG."""
        answer = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def requests(self) -> list[str]:
        """Return the addresses that the page requested."""
        return [
            parameters["request"]["url"]
            for name, parameters in self.events
            if name == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """Return the errors of the page: of scripts, its policy, parsing, missing files."""
        kinds = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        return [json.dumps(parameters) for name, parameters in self.events if name in kinds]
