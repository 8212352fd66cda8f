"""What tlsfloor raises, in one tree.

::

    Exception
    └── TLSFloorError            all of the below; .hint says what to do about it
        ├── PolicyError          (ValueError)    a floor or an option cannot be understood
        ├── GuardError           (ImportError)   the floor cannot be held on a TLS stack
        ├── FloorNotHeldError    (RuntimeError)  require(): the process does not hold the floor
        ├── VerifyError          (RuntimeError)  the verifier could not do its work
        ├── InstallError         (RuntimeError)  a start-up file or bundle cannot be written
        └── ProtocolRefused      (ssl.SSLError)  a gate refused a TLS object; its reason is
                                                 UNSUPPORTED_PROTOCOL, which is OpenSSL's own name

``ProtocolRefused`` is created when it is first used: this module must not import ``ssl``.

The text of an error may contain names of servers and files and other values of unknown origin, and
ends in a log or a terminal. So it is always one line: see ``printable``.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLError

    from tlsfloor._status import Status
    from tlsfloor._types import FloorName


def printable(text: str) -> str:
    """Return a text of unknown origin as one line that cannot move a cursor.

    Control characters, line ends among them, and lone surrogates become Python's escapes.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def say(line: str) -> None:
    """Write one line to stderr, or nothing if it is closed: ``status()`` has the same text."""
    try:
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()  # Python 3.8 buffers it, and loses it if the process is killed
    except (AttributeError, OSError, ValueError):  # it is None, its pipe is closed, or it is
        pass


class TLSFloorError(Exception):
    """The base class of all errors that tlsfloor raises.

    Keyword arguments become attributes, so that callers match on data and not on text. The
    attributes survive pickling, for example through ``multiprocessing``.

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
    """A floor or an option cannot be understood.

    ``value`` is what was given, and ``source`` the variable, the function or the file that has it.

    .. versionadded:: 0.1
    """

    value: object = None
    source: str = ""


class GuardError(TLSFloorError, ImportError):
    """The floor cannot be held on a TLS stack.

    It is an ImportError because the program sees that the stack cannot be imported, as in a Python
    that was built without it. ``findings`` is what the verifier observed of the stack, one text for
    each observation.

    .. versionadded:: 0.1
    """

    findings: tuple[str, ...] = ()


class FloorNotHeldError(TLSFloorError, RuntimeError):
    """``require()`` found that the process does not hold the floor.

    ``status`` is what ``status()`` returns, with no ``libraries``.

    .. versionadded:: 0.1
    """

    status: Status


class VerifyError(TLSFloorError, RuntimeError):
    """The verifier could not do its work: an input is unusable, or a part is not installed.

    .. versionadded:: 0.1
    """


class InstallError(TLSFloorError, RuntimeError):
    """A start-up file or a bundle could not be written or removed; nothing has changed.

    .. versionadded:: 0.1
    """


if TYPE_CHECKING:

    class ProtocolRefused(TLSFloorError, SSLError):  # noqa: N818 - it reads so in a traceback
        """See ``_create``."""

        floor: FloorName
        set_by: str


def _create(name: str) -> object:
    if name != "ProtocolRefused":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ssl import SSLError

    class ProtocolRefused(TLSFloorError, SSLError):  # noqa: N818 - it reads so in a traceback
        """A gate refused a TLS object that could only speak a version below the floor.

        ``reason`` and ``library`` are those of OpenSSL's own refusal. ``floor`` is the floor, for
        example ``"1.2"``, and ``set_by`` says who set it.

        .. versionadded:: 0.1
        """

        reason = "UNSUPPORTED_PROTOCOL"
        library = "SSL"

        def __init__(self, *args: object, hint: str = "", **facts: object) -> None:
            # The hint is a part of the text, because other libraries copy args or strerror.
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


if not TYPE_CHECKING:  # a type checker that sees it believes that every name exists
    __getattr__ = _create
