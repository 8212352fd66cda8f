"""The types of arguments and results, for annotations.

Only type checkers load this module, and programs that use ``tlsfloor.Floor``: it imports ``ssl``.
"""

from __future__ import annotations

from ssl import TLSVersion
from typing import Literal, TypedDict, Union

FloorName = Literal["1.0", "1.1", "1.2", "1.3"]

Floor = Union[FloorName, TLSVersion]

Role = Literal["client", "server"]

Outcome = Literal["accepted", "refused", "inconclusive"]


class Arming(TypedDict):
    """A floor that was armed, in ``Status.armings``."""

    floor: FloorName
    mode: Literal["enforce", "observe"]
    route: str
    set_by: str
    since: str


class Counts(TypedDict):
    """How often a gate did what, in ``Status.counts``."""

    raised: int
    clamped: int
    refused: int
    discarded: int


class Part(TypedDict):
    """Another file of a library."""

    path: str


class Library(TypedDict):
    """A TLS implementation in the process, in ``Status.libraries``."""

    path: str
    implementation: str
    stack: str
    coverage: str
    parts: list[Part]


class Exemption(TypedDict):
    """An entry of the operator's file, in ``Status.exemptions``."""

    host: str
    port: int | None
    minimum: FloorName
    reason: str
    expires: str
    days_left: int
    applies: bool
