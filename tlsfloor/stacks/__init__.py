"""The table of TLS stacks, and the finder that watches for them.

Adding a stack is one file in this folder and one row in ``TABLE``. The file has a function:

* ``guard(module, floor, set_by)``: hold the floor (a wire number; ``set_by`` says whose, for
  messages) on everything that the module makes; idempotent; GuardError where it should and cannot.
  Returns what it comes to: one of ``COVERED``, or a text that begins with ``"uncovered"``,

and may have, each where there is something for it to do:

* ``catch_up()``: what a guard must do besides when its stack has been in use before;
* ``undone(module)``: what of the guard is no longer in place, as text; empty when all of it is.
  Without it its ``_gates`` are asked;
* ``below(floor)``: a list of texts: what exists below the floor and cannot be changed any more;
* ``undo()``: put everything back, for tests.

It imports what it needs at its top, and nothing in these functions: they run under the lock of
``arm``, and another thread may hold the lock of what is imported (``wrapt`` brings ``ssl``).

This module and the package above it are all that an idle process loads of tlsfloor, so it imports
nothing that a bare interpreter has not loaded by itself: no ``typing``, no ``__future__``.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

#: A module that brings TLS into the process -> the module here that guards it.
TABLE = {
    "_awscrt": "tlsfloor.stacks.awscrt",
    "_ldap": "tlsfloor.stacks.ldap",
    "_mysql_connector": "tlsfloor.stacks.mysql_connector",
    "_polars_runtime_32._polars_runtime": "tlsfloor.stacks.named",
    "_polars_runtime_64._polars_runtime": "tlsfloor.stacks.named",
    "_polars_runtime_compat._polars_runtime": "tlsfloor.stacks.named",
    "aioquic.tls": "tlsfloor.stacks.named",
    "awscrt.s3": "tlsfloor.stacks.awscrt_s3",
    "bonsai._bonsai": "tlsfloor.stacks.ldap",
    "botocore.httpsession": "tlsfloor.stacks.pins",
    "confluent_kafka.cimpl": "tlsfloor.stacks.kafka",
    "cproton": "tlsfloor.stacks.proton",
    "curl_cffi": "tlsfloor.stacks.curl_cffi",
    "deltalake._internal": "tlsfloor.stacks.named",
    "granian.server": "tlsfloor.stacks.granian",
    "granian.server.common": "tlsfloor.stacks.granian",
    "grpc._cython.cygrpc": "tlsfloor.stacks.named",
    "M2Crypto.m2": "tlsfloor.stacks.m2crypto",
    "mariadb._mariadb": "tlsfloor.stacks.libmariadb",
    "MySQLdb._mysql": "tlsfloor.stacks.libmariadb",
    "obstore._obstore": "tlsfloor.stacks.named",
    "OpenSSL.SSL": "tlsfloor.stacks.pyopenssl",
    "polars.polars": "tlsfloor.stacks.named",
    "psycopg": "tlsfloor.stacks.psycopg",
    "psycopg2": "tlsfloor.stacks.psycopg2",
    "pycurl": "tlsfloor.stacks.pycurl",
    "pycurl._pycurl": "tlsfloor.stacks.pycurl",
    "pymssql._mssql": "tlsfloor.stacks.named",
    "ssl": "tlsfloor.stacks.stdlib",
    "urllib3.util.ssl_": "tlsfloor.stacks.pins",
}

#: What a guard may say of its stack: it holds the floor on every object; it set what the stack
#: reads process-wide; the stack refuses by itself, even when asked.
COVERED = ("guarded", "configured", "inherent")

# Whoever drops modules to load them afresh, as ddtrace does with gevent, gets those of tlsfloor as
# they were: they know what is armed, and what they guard.
_package = sys.modules[__name__.partition(".")[0]]

#: How often the finder may stand on the meta path, once more for each that came in front of it.
MENTIONS = 8


class Finder:
    """A meta-path finder that finds nothing itself: it lets the others find, and listens.

    ``notify(module)`` is called after *every* execution of a module of the table, not only the
    first: eventlet, for one, loads a second, fresh ``ssl``.
    """

    def __init__(self, notify: "Callable[[ModuleType], None]") -> None:
        self.notify = notify

    def find_spec(
        self,
        fullname: str,
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,
    ) -> "ModuleSpec | None":
        """Let the others find a module of the table, and listen when it is executed."""
        # Whoever came in front since could find a stack without this finder hearing of it. The old
        # mention stays: for a moment without any, another thread would import unheard. Somebody who
        # always wants to be first as well must not make the list grow for ever.
        if sys.meta_path[0] is not self and 0 < sys.meta_path.count(self) < MENTIONS:
            sys.meta_path.insert(0, self)
        if fullname.startswith(_package.__name__):
            return dropped(fullname)
        if fullname not in TABLE:
            return None
        for finder in sys.meta_path[:]:
            if finder is self:
                continue
            # A finder that has only find_module is passed over, as CPython 3.12 and newer do.
            find_spec: Any = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find_spec and find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = listener(spec.loader, self)
                return spec
        return None


def dropped(fullname: str) -> "ModuleSpec | None":
    """Find a module of tlsfloor that was loaded before; None where it is not or was not."""
    module: Any = _package
    for name in fullname.split(".")[1:]:
        module = getattr(module, "__dict__", {}).get(name)
    if getattr(module, "__name__", "") != fullname:
        return None
    spec = module.__spec__

    def create_module(_: "ModuleSpec") -> "ModuleType":
        there: ModuleType = module
        return there

    def exec_module(_: "ModuleType") -> None:
        module.__spec__ = spec  # and nothing else: it was executed

    namespace: Any = type(sys.implementation)  # of the module types, which is dear here
    loader = namespace(create_module=create_module, exec_module=exec_module)
    found: ModuleSpec = type(spec)(fullname, loader)
    return found


def listener(loader: "Any", finder: Finder) -> "Any":
    """Return a loader that tells a finder when its module was executed, and else is another one.

    It stands in the module's spec only until then, so that ``__spec__`` and ``__loader__`` read as
    they do without tlsfloor.
    """

    # Here, since a class costs an idle process as much as all the functions of this module.
    class Listener:
        __slots__ = ()

        def __getattr__(self, name: str) -> object:
            return getattr(loader, name)

        def __setattr__(self, name: str, value: object) -> None:
            # ddtrace puts a get_code of its own on a loader: it belongs where it is looked up.
            setattr(loader, name, value)

        def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
            """Let the loader make the module, if it makes modules."""
            create = getattr(loader, "create_module", None)
            return create(spec) if create is not None else None

        def exec_module(self, module: "ModuleType") -> None:
            """Step aside, let the loader execute the module, and tell."""
            for holder, name in ((module.__spec__, "loader"), (module, "__loader__")):
                if getattr(holder, name, None) is self:  # modules lose __loader__ one day
                    setattr(holder, name, loader)
            if hasattr(loader, "exec_module"):
                loader.exec_module(module)
            else:  # zipimport of 3.8 and 3.9; it executes the module that is in sys.modules by now
                loader.load_module(module.__name__)
            finder.notify(module)

    return Listener()


def watch(notify: "Callable[[ModuleType], None]") -> None:
    """Call ``notify(module)`` whenever a module of the table was executed, from now on.

    A later call replaces the function of an earlier one, and mends a finder that somebody removed.
    """
    for finder in sys.meta_path:
        if isinstance(finder, Finder):
            finder.notify = notify
            return
    sys.meta_path.insert(0, Finder(notify))
