"""Entries of the file of exemptions."""

from __future__ import annotations

import datetime as dt
import json

TODAY = dt.datetime.now(dt.timezone.utc).date()


def entry(**facts: object) -> str:
    """Return an entry of the file, which is valid unless ``facts`` change that."""
    whole: dict[str, object] = {
        "host": "old.example.com",
        "minimum": "1.0",
        "reason": "cannot be updated",
        "expires": TODAY + dt.timedelta(days=30),
        **facts,
    }
    lines = [
        f"{key} = {value if isinstance(value, (int, dt.date)) else json.dumps(value)}"
        for key, value in whole.items()
        if value is not None
    ]
    return "\n".join(["[[exemption]]", *lines, ""])
