"""An answer as JSON."""

from __future__ import annotations

import json

from tlsfloor import versions
from tlsfloor.report import words
from tlsfloor.report.answer import FLOORS, list_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tlsfloor.report.answer import Answer
    from tlsfloor.report.tally import Row

#: The version of the JSON. It rises when a key changes its meaning or is removed.
SCHEMA = 1

_STAMP = "%Y-%m-%dT%H:%M:%SZ"


def as_dict(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON types."""
    reading, summed = answer.reading, answer.tally
    starts = summed.timeline.starts()
    seen = sorted(answer.handshakes)
    return {
        "schema": SCHEMA,
        "tool": {"name": "tlsfloor", "version": answer.tool},
        "made": words.moment(answer.made, _STAMP),
        "sources": reading.targets,
        "floor": answer.floor,
        "status": answer.status,
        "floors": {
            name: {
                "breaks": answer.breaks[name],
                "share": answer.share(name),
                "reason": answer.reason(name),
                "doubts": answer.doubts[name],
            }
            for name in FLOORS
        },
        "first": words.moment(answer.first_time, _STAMP) or None,
        "last": words.moment(answer.last_time, _STAMP) or None,
        "events": sum(row.count for row in answer.rows),
        "untimed": summed.untimed,
        "hosts": len(summed.hosts),
        "programs": len(summed.programs),
        "handshakes": [
            {
                "version": words.version(wire),
                "count": answer.handshakes[wire],
                "last": words.moment(answer.last[wire], _STAMP) or None,
            }
            for wire in seen
        ],
        "timeline": {
            "seconds": summed.timeline.width,
            "starts": [words.moment(start, _STAMP) for start in starts],
            "counts": {
                words.version(wire): [summed.timeline.at(start, wire) for start in starts]
                for wire in seen
            },
        },
        "rows": [_row(row) for row in answer.rows],
        "files": {
            "read": reading.files,
            "lines": reading.events,
            "bad": reading.bad,
            "unread": reading.unread,
            "more": reading.more,
        },
    }


def _row(row: Row) -> dict[str, Any]:
    texts = ("stack", "role", "program", "where", "library")
    return {
        "kind": row.kind,
        "list": list_of(row),
        "breaks": {name: row.breaks(wire) for name, wire in FLOORS.items()},
        "exempted": row.exempted or None,
        "kept_apart": not row.rest,
        "mode": row.mode or None,
        "floor": versions.floor_name(row.floor) if row.floor else None,
        "version": versions.name(row.version) if row.version else None,
        "asked": versions.name(row.asked) if row.asked else None,
        **{name: getattr(row, name) or None for name in texts},
        "server_name": row.name or None,
        "peer": row.peer or None,
        "port": row.port or None,
        "suite": row.suite or None,
        "text": row.text or None,
        "count": row.count,
        "hosts": sorted(row.hosts - {""}),
        "more_hosts": row.more_hosts,
        "first": words.moment(row.first, _STAMP) if row.last else None,
        "last": words.moment(row.last, _STAMP) or None,
    }


def to_json(answer: Answer) -> str:
    """Return an answer as JSON."""
    return json.dumps(as_dict(answer), indent=2) + "\n"
