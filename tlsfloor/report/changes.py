"""Compares a report with an earlier one: what is new, worse, in order now, gone, not seen again.

Both are compared as JSON, of any schema that ``tlsfloor report`` has written. Nothing is gone
because it is missing: its machine must have been heard of since, and a report of its command on the
same targets must have been read.
"""

from __future__ import annotations

import calendar
import json
import time
from typing import Any, NamedTuple

from tlsfloor.errors import VerifyError
from tlsfloor.report.machines import KINDS, SEVERITY
from tlsfloor.report.tally import NO, UNKNOWN, VERSIONS, YES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    _Key = tuple[Any, ...]

#: The schemas of reports that can be compared.
SCHEMAS = (1, 2)

#: How something can have changed, in the order of the report.
HOW = ("new", "worse", "in order now", "gone", "not seen again")

_RANKS = {NO: 0, UNKNOWN: 1, YES: 2}

# What tells a connection from others, and what may change of it.
_OF_A_CONNECTION = ("program", "where", "library", "stack", "role", "server_name", "peer", "port")
_OF_A_ROW = ("kind", "mode", "floor", "version", "asked")


class Change(NamedTuple):
    """How one thing changed, and where it is. What it was, or is, may be empty."""

    how: str
    kind: str
    name: str
    where: str
    before: str
    now: str


class Changes(NamedTuple):
    """All changes since an earlier report was made.

    ``silent`` are the machines that were not heard of since, and when they were last. ``partial``
    is true if a report sums up connections, which cannot be compared.
    """

    since: str
    found: list[Change]
    silent: dict[str, str]
    partial: bool

    def amounts(self) -> dict[str, int]:
        """Return how often something changed in each way."""
        return {how: sum(each.how == how for each in self.found) for how in HOW}


class _Seen(NamedTuple):
    """One thing in a report: how bad it is, and when and on which machines it was seen.

    ``hosts`` are all machines of the report where the row does not name all of its own, and none
    where they are unknown.
    """

    rank: tuple[int, int]
    verdict: str
    name: str
    where: str
    last: str
    hosts: frozenset[str]  # of a finding, those where it is flagged


def read_earlier(path: str) -> dict[str, Any]:
    """Return the JSON of an earlier report.

    Raises:
        VerifyError: it cannot be read, or is none.
    """
    why = "it is not the JSON of `tlsfloor report`"
    try:
        with open(path, encoding="utf-8") as file:
            facts: dict[str, Any] = json.load(file)
        if facts["tool"]["name"] == "tlsfloor" and "floors" in facts:
            known = ", ".join(map(str, SCHEMAS))
            why = f"its schema is {facts['schema']}, and this version knows {known}"
            if facts["schema"] in SCHEMAS:
                why = "a part of it is missing or damaged"
                compare(facts, facts, "1.2")  # so that this is found before the work begins
                return facts
    except OSError as error:
        why = str(error.strerror)
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        pass  # ``why`` says it
    raise VerifyError(
        f"--since {path} cannot be compared: {why}",
        hint="tlsfloor report TARGET --json --output FILE",
    )


def compare(past: dict[str, Any], present: dict[str, Any], floor: str) -> Changes:
    """Return what changed from one report to another, which are JSON types."""
    before, now = _last_seen(past), _last_seen(present)
    silent = {host: last for host, last in before.items() if now.get(host, "") <= last}
    are_all_known = not present.get("more_hosts")
    if not are_all_known:
        silent = {}  # it is unknown which ones are
    reported = _reported_again(past, present)
    rows, rows_before = _rows(present, floor), _rows(past, floor)
    for key, row in [*rows.items()]:
        if row.last and key in rows_before and row.last <= rows_before[key].last:
            del rows[key]  # it was read again, and not seen again
    found = [
        *_changes(
            _findings(past, floor),
            _findings(present, floor),
            # Whether a container has the floor depends on its environment, and not on its image.
            lambda key, was, seen: (
                (seen is not None or key[:2] in reported)
                and are_all_known
                and not silent.keys() & was.hosts
            ),
        ),
        # All its machines must have been heard of, also if it is in order on another one.
        *_changes(
            _connections(rows_before),
            _connections(rows),
            lambda _, was, __: are_all_known and bool(was.hosts) and not silent.keys() & was.hosts,
        ),
    ]
    found.sort(key=lambda each: HOW.index(each.how))
    partial = not are_all_known or any(
        row["breaks"][floor] == YES and _is_sum(row) for row in (*past["rows"], *present["rows"])
    )
    since = past["made"] if past["schema"] == 1 else past["created"]
    return Changes(since, found, silent, partial)


def _changes(
    before: dict[_Key, _Seen],
    now: dict[_Key, _Seen],
    is_certain: Callable[[_Key, _Seen, _Seen | None], bool],
) -> list[Change]:
    """Compare what was seen; ``is_certain`` says whether what is not flagged any more is so."""
    found = []
    for key in sorted({*before, *now}, key=repr):
        was, seen = before.get(key), now.get(key)
        how = ""
        if seen and seen.rank[0]:
            how = "new" if was is None else "worse" if seen.rank > was.rank else ""
        elif was and was.rank[0]:
            how = "in order now" if seen else "gone"
            how = how if is_certain(key, was, seen) else "not seen again"
        last = seen or was
        if how and last:
            verdicts = (was.verdict if was else "", seen.verdict if seen else "")
            found.append(Change(how, str(key[0]), last.name, last.where, *verdicts))
    return found


def _findings(facts: dict[str, Any], floor: str) -> dict[_Key, _Seen]:
    """Return what machines found, by kind, place and name; the worst of several.

    The place is the image if there is one: a container has another name each time.
    """
    found: dict[_Key, _Seen] = {}
    for each in (facts.get("machines") or {}).get("findings", ()):
        verdict, host = each["verdict"], each["host"] or ""
        rank = (_RANKS[each["flagged"][floor]], SEVERITY[verdict])
        where = f"image {each['image']}" if each["image"] else host
        key = (each["kind"], where, each["name"])
        hosts = frozenset((host,) if rank[0] else ())
        seen = _Seen(rank, verdict, each["name"], where, each["time"] or "", hosts)
        before = found.get(key, seen)
        found[key] = max(seen, before)._replace(hosts=hosts | before.hosts)
    return found


def _reported_again(past: dict[str, Any], present: dict[str, Any]) -> set[_Key]:
    """Return of which kinds of things, and where, all that was examined was examined again."""
    before, now = _examined(past, is_past=True), _examined(present)
    missing, kinds = set(), {}
    for (command, where, *rest), last in before.items():
        kinds[command, where] = _KINDS[command], where
        if now.get((command, where, *rest), "") <= last:
            missing.add((command, where))
    # `check` names its targets, so what is missing was not examined.
    return {kinds[key] for key in kinds.keys() - missing if key[0] != "check"}


_KINDS = dict(zip(("verify", "status", "stacks", "check"), KINDS))


def _examined(facts: dict[str, Any], *, is_past: bool = False) -> dict[_Key, str]:
    """Return when everything of each scope was examined last. What was missed once counts, too."""
    found: dict[_Key, str] = {}
    for each in (facts.get("machines") or {}).get("reports", ()):
        where = f"image {each['image']}" if each["image"] else each["host"]
        key = (each["command"], where, each.get("owner"), each["floor"], *each["targets"])
        last = (each["time"] or "") if each["complete"] or is_past else ""
        found[key] = max(last, found.get(key, ""))
    return found


def _rows(facts: dict[str, Any], floor: str) -> dict[_Key, _Seen]:
    """Return what the floor would break and what it would not, row by row."""
    found: dict[_Key, _Seen] = {}
    all_hosts = frozenset(() if facts.get("more_hosts") else _last_seen(facts))
    for row in facts["rows"]:
        if _is_sum(row):
            continue
        broken = row["breaks"][floor] == YES
        spoken = row["version"] or row["asked"] or ""
        rank = (2 * broken, -VERSIONS.get(spoken, 0xFFFF))
        kind = "" if row["kind"] == "handshake" else row["kind"]
        verdict = " ".join(filter(None, (kind, spoken, "exempted" if row.get("exempted") else "")))
        peer = str(row["server_name"] or row["peer"] or "")
        name = str(row["where"] or row["program"] or "")
        if peer:
            port = f":{row['port']}" if row["port"] else ""
            name += f"{' from ' if row['role'] == 'server' else ' to '}{peer}{port}"
        where = ", ".join(row["hosts"][:3])
        hosts = all_hosts if row["more_hosts"] else frozenset(row["hosts"])
        key = (*(row[each] for each in (*_OF_A_CONNECTION, *_OF_A_ROW)), bool(row.get("exempted")))
        found[key] = _Seen(rank, verdict, name, where, row["last"] or "", hosts)
    return found


def _connections(rows: dict[_Key, _Seen]) -> dict[_Key, _Seen]:
    """Return the worst row of each connection."""
    found: dict[_Key, _Seen] = {}
    for key, row in rows.items():
        connection = ("connection", *key[: len(_OF_A_CONNECTION)])
        found[connection] = max(row, found.get(connection, row))
    return found


def _is_sum(row: dict[str, Any]) -> bool:
    return bool(row["summed"] if "summed" in row else not row["kept_apart"])


def heard_of(facts: dict[str, Any]) -> dict[str, float]:
    """Return when each machine of an earlier report was heard of last, 0 if that is unknown."""
    return {
        host: float(calendar.timegm(time.strptime(last, "%Y-%m-%dT%H:%M:%SZ"))) if last else 0.0
        for host, last in _last_seen(facts).items()
    }


def _last_seen(facts: dict[str, Any]) -> dict[str, str]:
    """Return when each machine was heard of last. Earlier reports say it only of some."""
    if "last_seen" in facts:
        return {each["host"]: each["last"] or "" for each in facts["last_seen"]}
    found: dict[str, str] = {}
    for row in facts["rows"]:
        for host in row["hosts"]:
            found[host] = max(row["last"] or "", found.get(host, ""))
    return found
