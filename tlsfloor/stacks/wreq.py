"""The guard of wreq, and of rnet as it was called before: HTTP clients over BoringSSL.

rnet speaks TLS 1.0 by default; wreq 1.2, and 1.0 if a program asks for it. A client gets its
minimum when it is made, so a subclass takes the place of each class of clients, and raises it. A
client that was made before the floor is refused when it is used: the methods of the original
classes have gates.

The minimum of a client wins over a browser that rnet impersonates. In wreq the browser's minimum
wins, and cannot be changed: a browser that speaks less than the floor is refused, unless TlsOptions
are given too, which win over both.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from functools import wraps

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.stacks import _addresses, _tls_calls
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates
from tlsfloor.stacks._stand_ins import misfit, replace, row_of, stand_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_VERSIONS = {wire: f"TLS_{name.replace('.', '_')}" for name, wire in versions.FLOORS.items()}

# The methods that send a request, which are functions of the module as well.
_VERBS = (
    *("delete", "get", "head", "options", "patch", "post", "put", "request", "trace"),
    "websocket",
)

# Browsers whose profiles all speak TLS 1.2 at least; older ones of Safari speak 1.0.
_AT_LEAST_1_2 = ("Chrome", "Edge", "Firefox", "OkHttp", "Opera")

_RNET = "rnet.rnet"

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Hold the floor on every client.

    Raises:
        GuardError: this version has other classes.
    """
    row = row_of(module)
    try:
        (_Rnet if row == _RNET else _Wreq)(module).put()
    except AttributeError as error:
        raise misfit(row, error) from error
    if row == _RNET and current.held > versions.TLS1_2 and _tls_calls.passes(row):
        return "uncovered: rnet cannot speak TLS 1.3 alone"
    return "guarded"


class _Clients(ABC):
    """What rnet and wreq share: classes of clients, and functions that send by a new client."""

    minimum, maximum = "", ""

    def __init__(self, native: Any) -> None:
        self.native = native
        # rnet has it in the module, wreq in one below.
        self.version = getattr(native, "tls", native).TlsVersion

    def put(self) -> None:
        """Put the gates in place, unless they are."""
        if _gates.stands(self.native, "get"):
            return
        for holder, name in self.classes():
            real = getattr(holder, name)
            made = self.client(real)
            for verb in _VERBS:
                if hasattr(real, verb):
                    _gates.put(real, verb, self.method(getattr(real, verb), made))
                function = holder.__dict__.get(verb)
                if function is not None:
                    self.replace(function, self.function(function, verb, made))
            self.replace(real, made)

    def replace(self, before: Any, after: Any) -> None:
        """Replace a class or function in every module."""
        replace(_gates, row_of(self.native), before, after)

    @abstractmethod
    def classes(self) -> list[tuple[Any, str]]:
        """Return the classes of clients: the module of each, and its name there."""

    def held(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of a new client, held to the floor."""
        return self.clamped(kwargs, self.minimum, self.maximum)

    def lowest_held(self) -> int:
        """Return the lowest version of a new client."""
        return current.held

    def clamped(self, kwargs: dict[str, Any], minimum: str, maximum: str) -> dict[str, Any]:
        """Return arguments whose bounds are held to the floor."""
        floor = self.lowest_held()
        for name in (minimum, maximum):
            # By its name: such a version has neither an order nor a hash.
            asked = repr(kwargs.get(name)).rpartition(".")[2]
            wire = next((wire for wire, known in _VERSIONS.items() if known == asked), 0)
            if wire < floor and (wire or name == minimum):
                current.counts["clamped" if wire else "raised"] += 1
                kwargs[name] = getattr(self.version, _VERSIONS[floor])
        return kwargs

    @abstractmethod
    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Check the arguments of one request."""

    def client(self, real: Any) -> Any:
        """Return a class of clients that are held to the floor."""

        def __new__(cls: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - a method
            if not current.is_held():
                return real.__new__(cls, *args, **kwargs)
            made = real.__new__(cls, *args, **self.held(kwargs))
            made._tlsfloor = current.held
            return made

        return stand_in(real, {"__slots__": ("_tlsfloor",), "__new__": __new__})

    def method(self, method: Any, held: type) -> Any:
        """Return a method that refuses clients which are older than the floor."""

        @wraps(method)
        def gated(client: Any, *args: Any, **kwargs: Any) -> Any:
            since = getattr(client, "_tlsfloor", 0) if isinstance(client, held) else 0
            if since < current.held:
                raise _refused(
                    f"this client of {self.native.__name__} was made before the floor was armed",
                    "make it again, or arm the floor before it is made",
                )
            self.check(args, kwargs)
            return method(client, *args, **kwargs)

        return gated

    def function(self, real: Any, verb: str, made: Any) -> Any:
        """Return a function that sends a request by a client of its own, which is held."""

        @wraps(real)
        def gated(*args: Any, **kwargs: Any) -> Any:
            return getattr(made(), verb)(*args, **kwargs)

        return gated


class _Rnet(_Clients):
    minimum, maximum = "min_tls_version", "max_tls_version"

    def classes(self) -> list[tuple[Any, str]]:
        return [(self.native, "Client"), (self.native.blocking, "BlockingClient")]

    def lowest_held(self) -> int:
        # With TLS 1.3 as its minimum, rnet offers no cipher suite at all, and no server answers.
        return min(current.held, versions.TLS1_2) if _tls_calls.passes(_RNET) else current.held

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if current.held <= versions.TLS1_2:
            return
        urls = [value for value in (*args, kwargs.get("url")) if isinstance(value, str)]
        if not any(_addresses.scheme_of(url) in {"http", "ws"} for url in urls):
            _tls_calls.refuse(
                _RNET,
                "rnet cannot speak TLS 1.3 alone: it offers no cipher suite then",
                "use wreq, its new name",
            )


class _Wreq(_Clients):
    minimum, maximum = "tls_min_version", "tls_max_version"

    def classes(self) -> list[tuple[Any, str]]:
        return [(self.native, "Client"), (self.native.blocking, "Client")]

    def put(self) -> None:
        if not _gates.stands(self.native, "get"):
            self.real_options = self.native.tls.TlsOptions
            self.replace(self.real_options, self.options())
            self.replace(self.native.emulation.Emulation, self.emulations())
        super().put()

    def options(self) -> type:
        """Return a class that takes the place of TlsOptions, and keeps the arguments.

        TlsOptions cannot be read, and nothing can be derived from them.
        """
        real = self.real_options

        class TlsOptions:
            __doc__ = real.__doc__
            __module__ = real.__module__
            __slots__ = ("_given",)

            def __init__(self, **kwargs: Any) -> None:
                real(**kwargs)  # raises if an argument is wrong
                self._given = kwargs

        self.kept_options = TlsOptions
        return TlsOptions

    def emulations(self) -> Any:
        """Return a subclass of Emulation that remembers its browser."""
        real, profiles = self.native.emulation.Emulation, self.native.emulation.Profile
        platform = self.native.emulation.Platform
        platforms = [value for value in vars(platform).values() if isinstance(value, platform)]
        browsers = [value for value in vars(profiles).values() if isinstance(value, profiles)]

        def __new__(cls: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - a method
            made = real.__new__(cls, *args, **kwargs)
            made._profile = kwargs.get("profile", args[0] if args else profiles.Chrome100)
            return made

        def any_one() -> Any:
            known = [browser for browser in browsers if _lowest_of(browser)]
            return made(profile=random.choice(known), platform=random.choice(platforms))  # noqa: S311

        methods = {"__slots__": ("_profile",), "__new__": __new__, "random": staticmethod(any_one)}
        made = stand_in(real, methods)
        return made

    def held(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        options = kwargs.get("tls_options")
        if options is None:
            self.check((), kwargs)
        elif isinstance(options, self.kept_options):
            given = self.clamped(dict(options._given), "min_tls_version", "max_tls_version")
            kwargs["tls_options"] = self.real_options(**given)
        else:
            raise _refused(
                "these TlsOptions of wreq were made before the floor was armed",
                "make them again, or arm the floor before they are made",
            )
        return super().held(kwargs)

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        del args
        emulation = kwargs.get("emulation")
        if emulation is not None and _lowest_of(emulation) < current.held:
            raise _refused(
                "wreq would use the TLS versions of the browser that it emulates, some below the"
                " floor",
                "emulate Chrome or Firefox at floor 1.2, or give a client tls_options=TlsOptions()"
                " too, which win over those of the browser",
            )


def _lowest_of(emulation: Any) -> int:
    """Return the lowest version of a browser; 0 if it is not known."""
    name = repr(getattr(emulation, "_profile", emulation)).rpartition(".")[2]
    return versions.TLS1_2 if name.startswith(_AT_LEAST_1_2) else 0


def _refused(problem: str, hint: str) -> Exception:
    current.counts["refused"] += 1
    return refusal(problem, hint)
