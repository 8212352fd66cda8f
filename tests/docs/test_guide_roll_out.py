"""``docs/how-to/roll-out.md``, run: observe, report, exempt, hold, and the day after the last."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guides import block, blocks, commands
from programs import BOOTSTRAP, clean_environment
from parts import need
from peers import list_buckets
from ports import reserved_port
from redis_server import redis_server
from terminal import Terminal, as_shown
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS, TLS1_0, TLS1_2

PAGE = "how-to/roll-out.md"

#: A start-up file that sets the clock of every Python, and then runs tlsfloor's as Python would.
CLOCK = """
import importlib.util, sys, time
from importlib.machinery import PathFinder
real, first = time.time, {now}
begun = real()
time.time = lambda: first + real() - begun
spec = PathFinder.find_spec("sitecustomize", [{bootstrap!r}])
module = sys.modules["sitecustomize"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
"""

#: Seconds since 1970, on a day on which the exemption applies, and on the one after its last.
BEFORE, AFTER = 1_800_000_000, 1_806_537_601


@pytest.mark.skipif(os.name != "posix", reason="the page is written for a shell")
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    need("boto3", "redis", "gunicorn", "rich")
    with contextlib.ExitStack() as stack:
        erp = stack.enter_context(handshakes.ServerPeer(TLS1_0))
        other = stack.enter_context(handshakes.ServerPeer(TLS1_0))
        s3 = stack.enter_context(handshakes.ServerPeer(TLS1_2, "ecdhe", reply=list_buckets))
        cache = stack.enter_context(redis_server("TLSv1.2 TLSv1.3"))
        ports = {"8443": erp.port, "8444": other.port, "9443": s3.port, "6380": cache}
        ports["7443"] = reserved_port()

        def here(text: str) -> str:
            return re.sub(r"\b(8443|8444|9443|6380|7443)\b", lambda each: str(ports[each[0]]), text)

        for each in blocks(PAGE):
            if each.name.startswith("file: "):
                (tmp_path / each.name[len("file: ") :]).write_text(here(each.text))
        shutil.copy(handshakes.CA_FILE, tmp_path / "ca.pem")
        shutil.copy(handshakes.PEER_FILE, tmp_path / "peer.pem")
        clock = tmp_path / "clock"
        clock.mkdir()
        env = clean_environment(
            PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
            AWS_CA_BUNDLE=handshakes.CA_FILE,
            AWS_ACCESS_KEY_ID="nobody",
            AWS_SECRET_ACCESS_KEY="nothing",
            AWS_DEFAULT_REGION="us-east-1",
            PYTHONDONTWRITEBYTECODE="1",  # the clock is written anew within a second
        )
        terminal = Terminal(tmp_path, env)
        stack.callback(terminal.end)

        def do(name: str, now: int) -> None:
            (clock / "sitecustomize.py").write_text(CLOCK.format(now=now, bootstrap=BOOTSTRAP))
            for command, shown in commands(here(block(PAGE, name))):
                if command.startswith("gunicorn"):
                    serve(tmp_path, command, ports["7443"], str(clock))
                    continue
                command = command.replace("$(tlsfloor path)", f"{clock}:$(tlsfloor path)")
                _, printed = terminal.run(command)
                # Columns are as wide as what is in them.
                assert as_shown(even(shown), even(printed)), (command, printed)

        # The control of what is refused below: without a floor it is reached.
        status, printed = terminal.run("python other.py")
        assert (status, printed) == (0, "")
        assert [each.version for each in other.seen] == [TLS1_0]
        do("observe", BEFORE)
        do("report", BEFORE)
        do("enforce", BEFORE)
        do("refused", BEFORE)
        do("expired", AFTER)
        other.settle()
        assert not any(each.version for each in other.seen[1:])


def even(text: str) -> str:
    """Return a text with one blank where there are more, and ``[…]`` for anything in a line."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return "".join(f"{line if line == '[…]' else line.replace('[…]', '…')}\n" for line in lines)


def serve(folder: Path, command: str, port: int, clock: str) -> None:
    """Run the server until a client of today has been answered."""
    path = subprocess.run(
        [sys.executable, "-m", "tlsfloor", "path"], capture_output=True, text=True, check=True
    ).stdout.strip()
    env = clean_environment(
        PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
        PYTHONPATH=f"{clock}{os.pathsep}{path}",
        TLSFLOOR_MODE="observe",
        TLSFLOOR_EVENTS=str(folder / "events.jsonl"),
    )
    with subprocess.Popen(command.split(), cwd=folder, env=env, stderr=subprocess.PIPE) as server:
        try:
            deadline = time.monotonic() + 30
            seen = None
            while not (seen and seen.version) and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    seen = handshakes.call("127.0.0.1", port, FLOORS["1.2"], "ecdhe")
                time.sleep(0.1)
            assert seen is not None
            assert seen.version == TLS1_2
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
