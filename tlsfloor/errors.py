"""What tlsfloor raises, in one tree.

::

    Exception
    └── TLSFloorError            all of the below; .hint says what to do about it
        ├── PolicyError          (ValueError)    a floor or an option that cannot be understood
        ├── GuardError           (ImportError)   a TLS stack on which the floor cannot be held
        ├── FloorNotHeldError    (RuntimeError)  require(): the process holds less than was asked
        ├── VerifyError          (RuntimeError)  the verifier could not do its work
        ├── InstallError         (RuntimeError)  a start-up file or bundle that cannot be written
        └── ProtocolRefused      (ssl.SSLError)  a TLS object refused at a gate; its reason is
                                                 UNSUPPORTED_PROTOCOL, as OpenSSL itself says it

``ProtocolRefused`` is made when it is first asked for: this module is loaded in every process of a
company, and ``ssl`` must not be.

What an error says may name a server, a file, a value of somebody's choice, and ends in a log or a
terminal. So it is one line, whatever is in it: ``printable``.
"""

from __future__ import annotations

import sys


def printable(text: str) -> str:
    """Return a text of unknown origin as one line, without what moves a cursor.

    Control characters, line ends among them, and lone surrogates become escapes of Python.

    .. versionadded:: 0.2
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def say(line: str) -> None:
    """Write one line to stderr; nothing where it is closed, for ``status()`` says the same.

    .. versionadded:: 0.2
    """
    try:
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()  # Python 3.8 keeps it, and loses it where the process is killed
    except (AttributeError, OSError, ValueError):  # it is None, its pipe is closed, or it is
        pass


class TLSFloorError(Exception):
    """The root of the tree.

    Keyword arguments become attributes, so that callers match on data and not on text; they survive
    pickling, as they must to cross ``multiprocessing``.

    .. versionadded:: 0.1
    """

    def __init__(self, *args: object, hint: str = "", **facts: object) -> None:
        super().__init__(*args)
        self.hint = hint
        self.__dict__.update(facts)

    @property
    def problem(self) -> str:
        """What went wrong, without the hint."""
        return printable(super().__str__())

    def __str__(self) -> str:
        return f"{self.problem}; hint: {printable(self.hint)}" if self.hint else self.problem


class PolicyError(TLSFloorError, ValueError):
    """A floor or an option that cannot be understood.

    .. versionadded:: 0.1
    """


class GuardError(TLSFloorError, ImportError):
    """A TLS stack on which the floor cannot be held.

    An ImportError, since that is how a program meets it: the stack cannot be imported, as in a
    Python built without it. ``findings`` is what the verifier observed of the stack, a line each.

    .. versionadded:: 0.1
    """

    findings: tuple[str, ...] = ()


class FloorNotHeldError(TLSFloorError, RuntimeError):
    """``require()`` found that the process holds less than was asked.

    .. versionadded:: 0.1
    """


class VerifyError(TLSFloorError, RuntimeError):
    """The verifier could not do its work: an input it cannot use, a part that is not installed.

    .. versionadded:: 0.1
    """


class InstallError(TLSFloorError, RuntimeError):
    """A start-up file or a bundle could not be written or removed; nothing has changed.

    .. versionadded:: 0.1
    """


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLError

    class ProtocolRefused(TLSFloorError, SSLError):  # noqa: N818 - it reads so in a traceback
        """See ``__getattr__``."""

        floor: str
        set_by: str


def __getattr__(name: str) -> object:
    if name != "ProtocolRefused":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ssl import SSLError

    class ProtocolRefused(TLSFloorError, SSLError):  # noqa: N818 - it reads so in a traceback
        """A TLS object was refused at a gate, since it could only speak below the floor.

        ``reason`` and ``library`` read as OpenSSL's own refusal does; ``floor`` and ``set_by`` say
        which floor it was, and whose.

        .. versionadded:: 0.1
        """

        reason = "UNSUPPORTED_PROTOCOL"
        library = "SSL"

        def __init__(self, *args: object, hint: str = "", **facts: object) -> None:
            # The hint is a part of the text: who passes that on takes it from args or strerror.
            if hint:
                args = (*args[:-1], printable(f"{args[-1]}; hint: {hint}"))
            super().__init__(*args, hint=hint, **facts)

        __str__ = SSLError.__str__

        @property
        def problem(self) -> str:
            """What went wrong, without the hint."""
            return str(self).partition("; hint: ")[0]

    ProtocolRefused.__qualname__ = name
    return globals().setdefault(name, ProtocolRefused)
