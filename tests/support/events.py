"""Makes events, as ``docs/reference/events.md`` describes them."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: 2025-03-03 08:00 UTC, a Monday.
BEGIN = 1_740_988_800

#: What a program says of itself.
PROGRAM = {
    "schema": 1,
    "time": BEGIN,
    "host": "web-1",
    "pid": 71,
    "program": "/srv/shop/app.py",
    "mode": "observe",
    "floor": "1.2",
    "stack": "ssl",
}

#: Program, its line, the library, the role, the other side, its port, version, suite, how often.
CONNECTIONS = [
    ("/srv/shop/app.py", 12, "urllib3/connection.py:704", "client", "erp.example", 443, "TLS 1.0",
     "AES128-SHA", 2),
    ("/srv/shop/app.py", 120, "urllib3/connection.py:704", "client", "pay.example", 443, "TLS 1.3",
     "TLS_AES_256_GCM_SHA384", 400),
    ("/srv/mail/main.py", 88, "redis/connection.py:1203", "client", "cache.example", 6380,
     "TLS 1.2", "ECDHE-RSA-AES128-GCM-SHA256", 90),
    ("/srv/mail/main.py", 7, "ldap3/core/tls.py:281", "client", "10.4.0.12", 636, "TLS 1.1",
     "ECDHE-RSA-AES128-SHA", 6),
    ("gunicorn", 3, "gunicorn/sock.py:230", "server", "10.9.8.7", 8443, "TLS 1.2",
     "ECDHE-RSA-AES128-GCM-SHA256", 40),
    ("gunicorn", 3, "gunicorn/sock.py:230", "server", "10.9.8.9", 8443, "TLS 1.3",
     "TLS_AES_256_GCM_SHA384", 300),
]  # fmt: skip


def event(kind: str = "handshake", **more: Any) -> dict[str, Any]:
    """Return an event; a value of None leaves a key out."""
    made = {**PROGRAM, "kind": kind, **more}
    return {key: value for key, value in made.items() if value is not None}


def handshake(version: str | None = "TLS 1.3", **more: Any) -> dict[str, Any]:
    """Return a handshake of a client."""
    made = {"role": "client", "server_name": "erp.example", "port": 443, "version": version}
    return event(**{**made, **more})


def many(count: int, days: float = 20, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Yield handshakes of a few programs on nine machines, over so many days."""
    chance = random.Random(seed)
    for number in range(count):
        [made] = chance.choices(CONNECTIONS, [each[-1] for each in CONNECTIONS])
        program, line, library, role, other, port, version, suite, _ = made
        address = {"server_name": other} if other.endswith("example") else {}
        yield event(
            time=BEGIN + days * 86400 * number / count,
            host=f"web-{chance.randrange(9)}",
            pid=chance.randrange(40000),
            program=program,
            count=chance.choice((1, 1, 1, 7, 40)),
            role=role,
            version=version,
            suite=suite,
            where=f"{program}:{line}",
            library=library,
            peer=other if not address else f"10.1.2.{chance.randrange(20)}",
            port=port,
            **address,
        )


def write(path: Path, *lines: dict[str, Any] | bytes) -> Path:
    """Write a file of events, and of lines that are none; return its path."""
    text = b"".join(
        each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in lines
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text) if path.name.endswith(".gz") else text)
    return path
