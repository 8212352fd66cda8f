"""Reports of ``verify``, ``check``, ``stacks`` and ``status``, as the commands themselves print."""

from __future__ import annotations

import contextlib
import copy
import json
import ssl
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from outputs import validate_json
from peers import serving
from programs import armed_environment, clean_environment, python
from tlsfloor.peers import base, handshakes
from tlsfloor.versions import TLS1_0, TLS1_3

#: What each report is about -> the command, and whether its floor is armed by the environment.
NAMES = {
    "open": ("verify", False),
    "armed": ("verify", True),
    "not started": ("verify", False),
    "nothing found": ("verify", False),
    "cut off": ("check", False),
    "accepts old": ("check", False),
    "modern": ("check", False),
    "unreachable": ("check", False),
    "uncovered": ("stacks", False),
    "covered": ("stacks", False),
    "no floor": ("status", False),
    "held": ("status", True),
}


def make(folder: Path) -> dict[str, Any]:
    """Run the commands on real interpreters, endpoints and files; return name -> report."""
    for name in ("open", "armed"):
        venv.create(folder / name, with_pip=False)
    broken = folder / "broken" / "bin" / "python3"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(Path("/bin/sh").read_bytes())
    broken.chmod(0o755)
    for name in ("strange", "usual", "empty"):
        (folder / name).mkdir()
    (folder / "strange" / "_tls.so").write_bytes(b"\0OpenSSL 3.0.22 25 Aug 2026\0libssl.so.3\0")
    (folder / "usual" / "_ssl.so").write_bytes(b"\0libssl.so.3\0")
    hello = ["--hello", "--role", "client"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(base.PEER_FILE)
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(handshakes.ServerPeer(TLS1_0, "ecdhe")).port
        new = stack.enter_context(handshakes.ServerPeer(TLS1_3, "ecdhe")).port
        both = stack.enter_context(
            serving(lambda connection: context.wrap_socket(connection, server_side=True).close())
        )
        words = {
            "open": [*hello, str(folder / "open")],
            "armed": [*hello, str(folder / "armed" / "bin" / "python")],
            "not started": [*hello, str(broken)],
            "nothing found": [*hello, str(folder / "empty")],
            "cut off": [f"localhost:{old}"],
            "accepts old": ["--floor", "1.3", f"localhost:{both}"],
            "modern": [f"localhost:{new}"],
            "unreachable": ["localhost:1"],
            "uncovered": [str(folder / "strange")],
            "covered": [str(folder / "usual")],
            "no floor": [],
            "held": [],
        }

        def run(name: str) -> Any:
            command, armed = NAMES[name]
            env = armed_environment("1.2") if armed else clean_environment()
            done = python("-m", "tlsfloor", command, *words[name], "--json", env=env, cwd=folder)
            report = json.loads(done.stdout)
            validate_json(command, report)
            return report

        with ThreadPoolExecutor(4) as pool:
            return dict(zip(NAMES, pool.map(run, NAMES)))


def of(report: Any, name: str, ago: float = 0, **labels: str) -> Any:
    """Return a report as another machine would write it, so many seconds ago."""
    made = copy.deepcopy(report)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago))
    made["run"].update(host=name, time=stamp, labels=labels)
    return made


def verified(name: str, ago: float, verdict: str, path: str = "/opt/python", **more: Any) -> Any:
    """Return the least of a report of ``verify`` on one interpreter that the report reads."""
    flagged = verdict not in ("enforced", "immune")
    found = {
        "path": path,
        "implementation": "CPython",
        "version": "3.13.1",
        "openssl": "OpenSSL 3.5.1",
        "verdict": verdict,
        "flagged": flagged,
        "summary": verdict.upper(),
        "reasons": ["why"],
    }
    report = {
        "schema": 2,
        "tool": {"name": "tlsfloor", "version": "0.2"},
        "run": {"command": ["python", "tlsfloor", "verify"], "directory": "/"},
        "floor": "1.2",
        "evidence": "handshake",
        "roles": ["client"],
        "targets": ["/opt"],
        "exit_status": 3 if verdict == "inconclusive" else int(flagged),
        "finished": True,
        "problems": [],
        "interpreters": [found],
    }
    return of(report, name, ago, **more)
