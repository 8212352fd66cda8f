"""The impact of a floor as JSON."""

from __future__ import annotations

import json
from typing import Any

from tlsfloor import versions
from tlsfloor.report import phrases
from tlsfloor.report.changes import Changes
from tlsfloor.report.fleet import Fleet
from tlsfloor.report.impact import FLOORS, Impact
from tlsfloor.report.machines import Finding
from tlsfloor.report.tally import Row

#: The version of the JSON. It rises when a key changes its meaning, its name or is removed.
SCHEMA = 2


def report_facts(impact: Impact) -> dict[str, Any]:
    """Return the impact as JSON types."""
    files, tally = impact.files, impact.tally
    starts = tally.timeline.starts()
    seen = {wire: phrases.version(wire) for wire in sorted(impact.handshakes)}
    return {
        "schema": SCHEMA,
        "tool": {"name": "tlsfloor", "version": impact.tool},
        "run": impact.run,
        "created": _time(impact.created),
        "sources": files.targets,
        "floor": impact.floor,
        "evidence": impact.evidence,
        "exit_status": impact.status,
        "floors": {
            name: {
                "breaks": impact.breaks[name],
                "share": impact.share(name),
                "reason": impact.reason(name),
                "doubts": impact.doubts[name],
            }
            for name in FLOORS
        },
        "first": _time(impact.first_time),
        "last": _time(impact.last_time),
        "events": sum(row.count for row in impact.rows),
        "lines_without_time": tally.total("untimed"),
        "hosts": len(tally.hosts),
        "more_hosts": tally.machines.more,
        "programs": len(tally.names.kept),
        "handshakes": [
            {"version": name, "count": impact.handshakes[wire], "last": _time(impact.last[wire])}
            for wire, name in seen.items()
        ],
        "timeline": {
            "seconds": tally.timeline.width,
            "starts": [_time(start) for start in starts],
            "counts": {
                name: [tally.timeline.at(start, wire) for start in starts]
                for wire, name in seen.items()
            },
        },
        "rows": [_row_facts(impact, row) for row in impact.rows],
        "last_seen": _times(impact.last_seen),
        "silent": None if impact.silent_days is None else _times(impact.silent),
        "changes": impact.changes and _changes_facts(impact.changes),
        "machines": impact.fleet and _machines_facts(impact, impact.fleet),
        "files": {
            "read": files.files,
            "event_lines": files.events,
            "invalid_lines": files.invalid,
            "unreadable": files.unreadable,
            "more_with_problems": files.more,
        },
    }


def _row_facts(impact: Impact, row: Row) -> dict[str, Any]:
    return {
        **{name: value or None for name, value in row.facts().items()},
        "list": impact.list_of(row),
        "breaks": {name: row.breaks(wire) for name, wire in FLOORS.items()},
        "summed": row.rest,
        "count": row.count,
        "first": _time(row.first if row.last else 0),
        "last": _time(row.last),
        "hosts": sorted(row.hosts),
        "more_hosts": row.more_hosts,
    }


def _machines_facts(impact: Impact, fleet: Fleet) -> dict[str, Any]:
    """Return what the reports of machines say, as JSON types."""
    return {
        "flagged": impact.flagged,
        "doubts": fleet.doubts,
        "reports": [
            {
                "command": scope.command,
                "host": scope.host,
                "owner": scope.owner or None,
                "image": scope.image or None,
                "floor": scope.floor or None,
                "targets": [*scope.targets],
                "time": _time(when),
                "complete": scope not in fleet.machines.partial,
            }
            for scope, when in sorted(fleet.machines.newest.items())
        ],
        "findings": [_finding_facts(each) for each in fleet.findings],
    }


def _finding_facts(finding: Finding) -> dict[str, Any]:
    texts = ("host", "owner", "image", "text", "detail")
    return {
        "kind": finding.kind,
        "name": finding.name,
        "verdict": finding.verdict,
        "flagged": {name: finding.flagged(wire) for name, wire in FLOORS.items()},
        "floor": versions.floor_name(finding.floor) if finding.floor else None,
        **{name: getattr(finding, name) or None for name in texts},
        "time": _time(finding.when),
    }


def _changes_facts(changes: Changes) -> dict[str, Any]:
    return {
        "since": changes.since,
        "partial": changes.partial,
        "found": [
            {key: value or None for key, value in each._asdict().items()} for each in changes.found
        ],
        "silent": [
            {"host": host, "last": last or None} for host, last in sorted(changes.silent.items())
        ],
    }


def _times(hosts: dict[str, float]) -> list[dict[str, str | None]]:
    return [{"host": host, "last": _time(last)} for host, last in sorted(hosts.items())]


def _time(when: float) -> str | None:
    return phrases.moment(when, "%Y-%m-%dT%H:%M:%SZ") or None


def report_json(impact: Impact) -> str:
    """Return the impact as JSON."""
    return json.dumps(report_facts(impact), indent=2) + "\n"
