"""The guard of wreq, and of rnet as it was called before: HTTP clients over BoringSSL.

rnet speaks TLS 1.0 by default; wreq 1.2, and 1.0 when it is asked. A client gets its minimum when
it is made, so a subclass takes the place of each class of clients, and raises it. What was made
before the floor is refused when it is used: the methods of the classes themselves are gates.

The minimum of a client wins over a browser that rnet impersonates. In wreq the browser's wins, and
nothing in it can be changed: a browser that speaks less than the floor is refused, unless options
of TLS are given too, which win over both.
"""

from __future__ import annotations

import random
from functools import wraps

from tlsfloor import floor as current
from tlsfloor import versions
from tlsfloor.errors import GuardError
from tlsfloor.stacks import _addresses, _stand_ins, _tls_calls
from tlsfloor.stacks._contexts import refusal
from tlsfloor.stacks._gates import Gates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_VERSIONS = {
    versions.TLS1_0: "TLS_1_0",
    versions.TLS1_1: "TLS_1_1",
    versions.TLS1_2: "TLS_1_2",
    versions.TLS1_3: "TLS_1_3",
}

# The methods that send, which are functions of the module as well.
_VERBS = (
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
    "trace",
    "websocket",
)

# Browsers that speak TLS 1.2 at least, each profile of them; older ones of Safari speak 1.0.
_AT_LEAST_1_2 = ("Chrome", "Edge", "Firefox", "OkHttp", "Opera")

_RNET = "rnet.rnet"

_gates = Gates()


def guard(module: ModuleType) -> str:
    """Hold the floor on every client.

    Raises:
        GuardError: this version has other classes.
    """
    native: Any = module
    row = _stand_ins.row_of(module)
    try:
        if row.startswith("rnet"):
            _Rnet(native).put()
            if current.held > versions.TLS1_2 and _tls_calls.passes(row):
                return "uncovered: rnet cannot speak TLS 1.3 alone"
            return "guarded"
        _Wreq(native).put()
    except AttributeError as error:
        raise GuardError(
            f"{module.__name__} cannot be held to a floor: {error}",
            hint="install another version of it, or of tlsfloor",
        ) from error
    return "guarded"


class _Library:
    """What rnet and wreq have in common: classes of clients, and functions that make one each."""

    minimum, maximum = "", ""

    def __init__(self, native: Any) -> None:
        self.native = native
        # rnet has it in the module, wreq in one below.
        self.version = getattr(native, "tls", native).TlsVersion

    def put(self) -> None:
        """Put the gates, where they are not yet."""
        if _gates.stands(self.native, "get"):
            return
        for holder, name in self.places():
            real = getattr(holder, name)
            made = self.client(real)
            for verb in _VERBS:
                if hasattr(real, verb):
                    _gates.put(real, verb, self.used(getattr(real, verb), made))
            for verb in _VERBS:
                if holder.__dict__.get(verb) is not None:
                    function = getattr(holder, verb)
                    _stand_ins.replace(
                        _gates, self.native.__name__, function, self.function(function, verb, made)
                    )
            _stand_ins.replace(_gates, self.native.__name__, real, made)

    def places(self) -> list[tuple[Any, str]]:
        """Return the classes of clients: where each is, and its name there."""
        raise NotImplementedError

    def held(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return what a client is made with, held to the floor."""
        return self.clamped(kwargs, self.minimum, self.maximum)

    def lowest_held(self) -> int:
        """Return what clients are held to."""
        return current.held

    def clamped(self, kwargs: dict[str, Any], minimum: str, maximum: str) -> dict[str, Any]:
        """Return bounds that are held to the floor."""
        floor = self.lowest_held()
        lowest = getattr(self.version, _VERSIONS[floor])
        for name in (minimum, maximum):
            asked = self.wire(kwargs.get(name))
            if asked < floor and (asked or name == minimum):
                current.counts["clamped" if asked else "raised"] += 1
                kwargs[name] = lowest
        return kwargs

    def judge(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Judge what a single request is made with."""

    def wire(self, version: Any) -> int:
        """Return the number of a version; 0 where none is given."""
        # By its name: such a version has neither an order nor a hash.
        name = repr(version).rpartition(".")[2]
        return next((wire for wire, each in _VERSIONS.items() if each == name), 0)

    def client(self, real: Any) -> Any:
        """Return a class of clients that are held to the floor."""

        def __new__(cls: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - a method
            if current.held < 0:
                return real.__new__(cls, *args, **kwargs)
            made = real.__new__(cls, *args, **self.held(kwargs))
            made._tlsfloor = current.held
            return made

        return _stand_ins.stand_in(real, {"__slots__": ("_tlsfloor",), "__new__": __new__})

    def used(self, method: Any, held: type) -> Any:
        """Return a method that refuses clients which are older than the floor."""

        @wraps(method)
        def gated(client: Any, *args: Any, **kwargs: Any) -> Any:
            since = getattr(client, "_tlsfloor", 0) if isinstance(client, held) else 0
            if since < current.held:
                raise _refused(
                    f"this client of {self.native.__name__} was made before the floor was armed",
                    "make it again, or arm the floor before it is made",
                )
            self.judge(args, kwargs)
            return method(client, *args, **kwargs)

        return gated

    def function(self, real: Any, verb: str, made: Any) -> Any:
        """Return a function that sends by a client of its own, which is held."""

        @wraps(real)
        def gated(*args: Any, **kwargs: Any) -> Any:
            return getattr(made(), verb)(*args, **kwargs)

        return gated


class _Rnet(_Library):
    minimum, maximum = "min_tls_version", "max_tls_version"

    def places(self) -> list[tuple[Any, str]]:
        return [(self.native, "Client"), (self.native.blocking, "BlockingClient")]

    def lowest_held(self) -> int:
        # With TLS 1.3 as its minimum rnet offers no cipher suite at all, and reaches nobody.
        return min(current.held, versions.TLS1_2) if _tls_calls.passes(_RNET) else current.held

    def judge(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if current.held <= versions.TLS1_2:
            return
        addresses = [each for each in (*args, kwargs.get("url")) if isinstance(each, str)]
        if not any(_addresses.scheme_of(each) in {"http", "ws"} for each in addresses):
            _tls_calls.refuse(
                _RNET,
                "rnet cannot speak TLS 1.3 alone: it offers no cipher suite then",
                "use wreq, which it is called since",
            )


class _Wreq(_Library):
    minimum, maximum = "tls_min_version", "tls_max_version"

    def places(self) -> list[tuple[Any, str]]:
        return [(self.native, "Client"), (self.native.blocking, "Client")]

    def put(self) -> None:
        if not _gates.stands(self.native, "get"):
            self.emulation = self.native.emulation.Emulation
            self.real_options = self.native.tls.TlsOptions
            self.profile = self.native.emulation.Profile
            _stand_ins.replace(_gates, self.native.__name__, self.real_options, self.options())
            _stand_ins.replace(_gates, self.native.__name__, self.emulation, self.emulations())
        super().put()

    def options(self) -> type:
        """Return a class that takes the place of TlsOptions, and keeps what they are made with.

        Those cannot be read, and nothing can be derived from them.
        """
        real = self.real_options

        class TlsOptions:
            __doc__ = real.__doc__
            __module__ = real.__module__
            __slots__ = ("_given",)

            def __init__(self, **kwargs: Any) -> None:
                real(**kwargs)  # which says what is wrong with them
                self._given = kwargs

        self.kept = TlsOptions
        return TlsOptions

    def emulations(self) -> Any:
        """Return a subclass of Emulation that remembers its browser."""
        real, profiles = self.emulation, self.profile
        platforms = [
            each
            for each in vars(self.native.emulation.Platform).values()
            if isinstance(each, self.native.emulation.Platform)
        ]

        def __new__(cls: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807 - a method
            made = real.__new__(cls, *args, **kwargs)
            made._profile = kwargs.get("profile", args[0] if args else profiles.Chrome100)
            return made

        def any_one() -> Any:
            known = [getattr(profiles, name) for name in dir(profiles)]
            chosen = [each for each in known if isinstance(each, profiles) and self.lowest(each)]
            return held(profile=random.choice(chosen), platform=random.choice(platforms))  # noqa: S311

        methods = {"__slots__": ("_profile",), "__new__": __new__, "random": staticmethod(any_one)}
        held = _stand_ins.stand_in(real, methods)
        self.held_emulation = held
        return held

    def lowest(self, emulation: Any) -> int:
        """Return the lowest version of a browser; 0 where it is not known."""
        name = repr(getattr(emulation, "_profile", emulation)).rpartition(".")[2]
        return versions.TLS1_2 if name.startswith(_AT_LEAST_1_2) else 0

    def held(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        options = kwargs.get("tls_options")
        if options is None:
            self.judge((), kwargs)
        elif isinstance(options, self.kept):
            given = dict(options._given)
            given = self.clamped(given, "min_tls_version", "max_tls_version")
            kwargs["tls_options"] = self.real_options(**given)
        else:
            raise _refused(
                "these TlsOptions of wreq were made before the floor was armed",
                "make them again, or arm the floor before they are made",
            )
        return super().held(kwargs)

    def judge(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        del args
        emulation = kwargs.get("emulation")
        if emulation is not None and self.lowest(emulation) < current.held:
            raise _refused(
                "wreq would speak TLS as the browser does that it emulates, below the floor",
                "emulate Chrome or Firefox at floor 1.2, or give a client tls_options=TlsOptions()"
                " too, which win over those of the browser",
            )


def _refused(problem: str, hint: str) -> Exception:
    current.counts["refused"] += 1
    return refusal(problem, hint, current.held, current.set_by)
