"""What the guards of psycopg and psycopg2 have in common: libpq, and classes written in C.

libpq, PostgreSQL's C library, takes a bound from the string, or else from the service that this
names, the environment, or its own default (PostgreSQL manual, "Database Connection Control
Functions"). Where it comes from is not ours to guess: libpq is asked, with a value that it must
refuse before it connects. What was found out is then written into the string, where nothing else
can change it. What libpq does after a refusal is its own affair: with ``sslmode=prefer``, its
default, it asks once more without TLS.

Functions and classes of C cannot be changed in place, and are replaced in every module that has
them. A late floor does not reach those that somebody keeps elsewhere.
"""

from __future__ import annotations

import sys
from abc import ABCMeta
from functools import wraps
from types import ModuleType

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tlsfloor.stacks._gates import Gates

    # Parse a string into what it says, or None if libpq cannot; ask what libpq has against one.
    Library = tuple[Callable[[Any], dict[str, str] | None], Callable[[str], str]]

MINIMUM, MAXIMUM = "ssl_min_protocol_version", "ssl_max_protocol_version"

# PostgreSQL, fe-connect.c, sslVerifyProtocolVersion(): these, in any case, or empty for no bound.
_NAMES = {wire: f"TLSv{name}".replace("v1.0", "v1") for name, wire in versions.FLOORS.items()}
NUMBERS = {name.lower(): wire for wire, name in _NAMES.items()}

# libpq compares the bounds first, and refuses this next (fe-connect.c, pqConnectOptions2()). With a
# password in the string it does not look for one in files.
_REFUSED = {"gssencmode": "refused", "password": "none"}
_CROSSED = {MINIMUM: "TLSv1.3", MAXIMUM: "TLSv1.2", **_REFUSED}


def check(library: Library, name: str) -> None:
    """Make sure that libpq knows a minimum, and answers as ``held`` needs it.

    Raises:
        GuardError: it does not; ``name`` says whose libpq it is.
    """
    parse, ask = library
    if parse(_string(_CROSSED)) == _CROSSED:
        crossed, accepted = (ask(_string({**_CROSSED, **each})) for each in ({}, {MAXIMUM: ""}))
        if "" != crossed != accepted != "":
            return
    raise GuardError(
        f"the libpq of {name} cannot be held to a floor: it knows no {MINIMUM}",
        hint="use a build of it with the libpq of PostgreSQL 13 or newer",
    )


def call(function: Any, args: Any, kwargs: Any, library: Library) -> Any:
    """Call what connects with its connection string, with one that keeps to the floor."""
    if args:
        args = (held(args[0], library), *args[1:])
    for name in kwargs.keys() & {"conninfo", "dsn"}:
        kwargs = {**kwargs, name: held(kwargs[name], library)}
    return function(*args, **kwargs)


def holding(function: Any, library: Library) -> Any:
    """Return a function that stands in for one that connects, and does as ``call`` does."""

    @wraps(function)
    def connect(*args: Any, **kwargs: Any) -> Any:
        return call(function, args, kwargs, library)

    return connect


def held(given: Any, library: Library) -> Any:
    """Return a connection string that says the same, and says a minimum at the floor or above."""
    parse, ask = library
    floor = current.held
    if not isinstance(given, (str, bytes, bytearray)):  # all that C takes
        raise TypeError(f"a connection string is needed, not {type(given).__name__}")
    given = given if isinstance(given, str) else bytes(given)
    said = parse(given)
    if said is None or not current.is_held():  # of None, it cannot be used to connect either
        return given

    def is_crossed(**bounds: str) -> bool:
        return ask(_string({**said, **bounds, **_REFUSED})) == crossed

    crossed = ask(_string({**said, **_CROSSED}))
    # The minimum in force is the first version that libpq would take as a maximum.
    lowest = next((wire for wire in _NAMES if not is_crossed(**{MAXIMUM: _NAMES[wire]})), 0)
    bounds = {}
    if said.get(MINIMUM, "").lower() in ("", *NUMBERS):  # libpq refuses any other
        bounds[MINIMUM] = _NAMES[max(lowest, floor)]
    if is_crossed(**{MINIMUM: _NAMES[floor]}):
        bounds[MAXIMUM] = _NAMES[floor]
    asked = MAXIMUM in bounds or NUMBERS.get(said.get(MINIMUM, "").lower(), floor) < floor
    if asked or lowest < floor:
        current.counts["clamped" if asked else "raised"] += 1
    string = _string({**said, **bounds})
    return string if isinstance(given, str) else string.encode("utf-8", "surrogateescape")


def _string(said: dict[str, str]) -> str:
    """Return a connection string: of two mentions the last one counts, so each is made once."""
    quoted = [(name, said[name].replace("\\", "\\\\").replace("'", "\\'")) for name in said]
    return " ".join(f"{name}='{value}'" for name, value in quoted)


def stand_in(real: Any, methods: dict[str, Any]) -> Any:
    """Return a class that can stand for a C class: the instances of that one are its own."""

    def __subclasshook__(cls: type, other: type) -> Any:  # noqa: N807 - it becomes a method
        return issubclass(other, real) if cls is made else NotImplemented

    about = {name: getattr(real, name) for name in ("__module__", "__qualname__", "__doc__")}
    about.update(methods, __slots__=(), __subclasshook__=classmethod(__subclasshook__))
    made = ABCMeta(real.__name__, (real,), about)
    return made


def replace(before: Any, after: Any, gates: Gates) -> None:
    """Put ``after`` where ``before`` is, in every module that has it, whatever its name there.

    Only those of psycopg are gates: what the modules of others do with names of their own
    afterwards is their own affair.
    """
    for place, module in list(sys.modules.items()):
        if issubclass(type(module), ModuleType):  # cffi's libraries only say that they are some
            # Not vars(): a module that importlib loads lazily would be loaded by that.
            for name, value in list(object.__getattribute__(module, "__dict__").items()):
                if value is before:
                    if place.startswith("psycopg"):
                        gates.put(module, name, after)
                    else:
                        setattr(module, name, after)
