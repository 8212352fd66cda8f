"""What the guards of psycopg and psycopg2 share: libpq, PostgreSQL's C library.

libpq takes a minimum version from the connection string, else from the service that the string
names, else from the environment, else it uses its default (PostgreSQL manual, "Database Connection
Control Functions"). The guard does not repeat that search: it asks libpq. A maximum below the
minimum makes libpq fail before it connects, so trying one maximum after the other finds the minimum
in force. The result is written into the connection string, which overrides every other source.

What libpq does after a refusal stays its own decision: with ``sslmode=prefer``, its default, it
tries again without TLS.
"""

from __future__ import annotations

from functools import wraps

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MINIMUM, MAXIMUM = "ssl_min_protocol_version", "ssl_max_protocol_version"

# PostgreSQL, fe-connect.c, sslVerifyProtocolVersion(): these, in any case, or empty for no bound.
_NAMES = {wire: f"TLSv{name}".replace("v1.0", "v1") for name, wire in versions.FLOORS.items()}
NUMBERS = {name.lower(): wire for wire, name in _NAMES.items()}

# libpq compares the bounds first, and refuses this next (fe-connect.c, pqConnectOptions2()). With a
# password in the string it does not look for one in files.
_REFUSED = {"gssencmode": "refused", "password": "none"}
_CROSSED = {MINIMUM: "TLSv1.3", MAXIMUM: "TLSv1.2", **_REFUSED}


class LibPQ:
    """The libpq of one package.

    ``parse`` returns the options in a connection string, or None if libpq cannot parse it; ``ask``
    returns the error of libpq for a string that it refuses.

    Raises:
        GuardError: this libpq knows no minimum, or does not answer as ``raised`` needs it.
    """

    def __init__(
        self,
        package: str,
        parse: Callable[[Any], dict[str, str] | None],
        ask: Callable[[str], str],
    ) -> None:
        self._parse, self._ask = parse, ask
        if parse(_string(_CROSSED)) == _CROSSED:
            crossed, accepted = (ask(_string({**_CROSSED, **more})) for more in ({}, {MAXIMUM: ""}))
            if "" != crossed != accepted != "":
                return
        raise GuardError(
            f"the libpq of {package} cannot be held to a floor: it knows no {MINIMUM}",
            hint="use a build of it with the libpq of PostgreSQL 13 or newer",
        )

    def call(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Call a function that connects, with a connection string that keeps to the floor."""
        if args:
            args = (self.raised(args[0]), *args[1:])
        for name in kwargs.keys() & {"conninfo", "dsn"}:
            kwargs = {**kwargs, name: self.raised(kwargs[name])}
        return function(*args, **kwargs)

    def wrap(self, function: Any) -> Any:
        """Return a function that does the same with a connection string that keeps to the floor."""

        @wraps(function)
        def connect(*args: Any, **kwargs: Any) -> Any:
            return self.call(function, args, kwargs)

        return connect

    def raised(self, given: Any) -> Any:
        """Return the same connection string with a minimum at the floor or above."""
        floor = current.held
        if not isinstance(given, (str, bytes, bytearray)):  # all that C takes
            raise TypeError(f"a connection string is needed, not {type(given).__name__}")
        given = given if isinstance(given, str) else bytes(given)
        options = self._parse(given)
        if options is None or not current.is_held():  # None: it cannot be used to connect either
            return given

        def is_crossed(**bounds: str) -> bool:
            return self._ask(_string({**options, **bounds, **_REFUSED})) == crossed

        crossed = self._ask(_string({**options, **_CROSSED}))
        # The minimum in force is the first version that libpq accepts as a maximum.
        lowest = next((wire for wire in _NAMES if not is_crossed(**{MAXIMUM: _NAMES[wire]})), 0)
        bounds = {}
        if options.get(MINIMUM, "").lower() in ("", *NUMBERS):  # libpq refuses any other
            bounds[MINIMUM] = _NAMES[max(lowest, floor)]
        if is_crossed(**{MINIMUM: _NAMES[floor]}):
            bounds[MAXIMUM] = _NAMES[floor]
        asked = MAXIMUM in bounds or NUMBERS.get(options.get(MINIMUM, "").lower(), floor) < floor
        if asked or lowest < floor:
            current.counts["clamped" if asked else "raised"] += 1
        string = _string({**options, **bounds})
        return string if isinstance(given, str) else string.encode("utf-8", "surrogateescape")


def _string(options: dict[str, str]) -> str:
    """Return a connection string with each option once: the last mention of one would win."""
    quoted = [(name, options[name].replace("\\", "\\\\").replace("'", "\\'")) for name in options]
    return " ".join(f"{name}='{value}'" for name, value in quoted)
