"""A program with a tool in its process: ``tool.py NAMES WHEN PORT...``.

The tools come first, and a floor as WHEN says: not by this program (``none``, ``PYTHONPATH``),
after the tools (``early``), or after a context was made as well (``late``). Printed is what was
reached by a context of that time and by a new one, what holds, and whether the tools work.
"""

import json
import os
import socket
import sys
import warnings
from importlib.machinery import SourceFileLoader

import annotated  # noqa: F401 - a module that is there before any tool


def typeguard():
    from typeguard import install_import_hook

    install_import_hook()
    return checked


def typeguard_packages():
    from typeguard import install_import_hook

    install_import_hook(["annotated", "ssl", "tlsfloor"])
    return checked


def beartype():
    from beartype.claw import beartype_all

    beartype_all()
    return checked


def beartype_packages():
    from beartype.claw import beartype_packages

    beartype_packages(("annotated", "ssl", "tlsfloor"))
    return checked


def jaxtyping():
    from jaxtyping import install_import_hook

    install_import_hook(["annotated", "ssl", "tlsfloor"], "beartype.beartype")
    return checked


def checked():
    """Tell whether annotations are checked, which the tool does in what it has instrumented."""
    again = imported_again()
    try:
        return again.double("1") != "11"
    except Exception as error:
        return "Check" in type(error).__name__ or "Violation" in type(error).__name__


def imported_again():
    del sys.modules["annotated"]
    return __import__("annotated")


def demandimport():
    import hgdemandimport

    hgdemandimport.enable()

    def is_lazy():
        again = imported_again()

        return type(again).__name__ == "_LazyModule" and hgdemandimport.isenabled()

    return is_lazy


def lazy_loader():
    import lazy_loader

    lazy = lazy_loader.load("ssl")
    return lambda: "SSLContext" in dir(lazy)


def bpython():
    from bpython.importcompletion import ModuleGatherer

    gatherer = ModuleGatherer()
    while gatherer.find_coroutine():
        pass
    return lambda: {"ssl", "tlsfloor", "tlsfloor.arm"} <= gatherer.modules


def pytest():
    from _pytest.assertion import install_importhook
    from _pytest.config import get_config

    hook = install_importhook(get_config())
    hook.fnpats.append("*.py")

    def rewrites():
        again = imported_again()

        return again.__spec__.loader is hook

    return rewrites


def ddtrace():
    import ddtrace.auto  # noqa: F401 - it patches
    from ddtrace.internal.module import ModuleWatchdog

    return ModuleWatchdog.is_installed


def debugpy():
    import debugpy  # noqa: T100

    debugpy.listen(("127.0.0.1", 0))  # noqa: T100
    return lambda: "pydevd" in sys.modules


def coverage():
    from coverage import Coverage

    measured = Coverage(data_file=None, include=["*"])
    measured.start()

    def is_measured():
        measured.stop()
        return any(each.endswith("tool.py") for each in measured.get_data().measured_files())

    return is_measured


def settrace():
    seen = set()

    def trace(frame, event, arg):
        seen.add(frame.f_globals.get("__name__"))
        return trace

    sys.settrace(trace)
    return lambda: "ssl" in seen


def ipython():
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "autoreload")
    shell.run_line_magic("autoreload", "2")

    def reloads():
        # As if newer versions had just been installed: it compares the times of files with these.
        known = shell.magics_manager.registry["AutoreloadMagics"]._reloader.modules_mtimes
        names = [each for each in sys.modules if each.startswith(("annotated", "tlsfloor."))]
        known.update(dict.fromkeys(names, 0))
        shell.run_cell("pass")
        return all(known[name] for name in names)

    return reloads


def freezegun():
    from freezegun import freeze_time

    freeze_time("2012-01-14").start()

    import time

    return lambda: time.strftime("%Y") == "2012"


def pyfakefs():
    import encodings.idna  # noqa: F401 - from no file it can be loaded later

    from pyfakefs.fake_filesystem_unittest import Patcher

    patcher = Patcher()
    patcher.setUp()

    return lambda: not os.path.exists(sys.executable)


def truststore():
    import truststore

    truststore.inject_into_ssl()
    return lambda: sys.modules["ssl"].SSLContext is truststore.SSLContext


def pip_system_certs():
    """What its ``.pth`` does once all others have been read."""
    from pip_system_certs import wrapt_requests

    wrapt_requests.inject_truststore()
    return lambda: sys.modules["ssl"].SSLContext.__module__.endswith("truststore._api")


def gevent():
    from gevent import monkey

    monkey.patch_all()
    return lambda: sys.modules["ssl"].SSLContext.__module__ == "gevent.ssl"


def eventlet():
    import eventlet

    eventlet.monkey_patch()
    return lambda: sys.modules["ssl"].SSLSocket.__module__ == "eventlet.green.ssl"


def mock():
    from unittest import mock

    with mock.patch("ssl.SSLContext") as made:
        import ssl

        ssl.SSLContext()
    return lambda: made.called


def meta_path():
    """A finder in place of all others, in another list."""

    class Only:
        def __init__(self, finders):
            self.finders = finders

        def find_spec(self, *args):
            found = (each.find_spec(*args) for each in self.finders)
            return next((spec for spec in found if spec is not None), None)

    only = Only(sys.meta_path)
    sys.meta_path = [only]
    return lambda: sys.meta_path == [only]


def reload():
    import importlib
    import ssl

    before = ssl.SSLContext
    importlib.reload(ssl)
    return lambda: ssl.SSLContext is not before


def dropped():
    """Forget the modules that the tool itself loaded, so that the program loads them again."""
    import ssl

    before = ssl
    for name in list(sys.modules):
        if name.partition(".")[0] in ("tlsfloor", "ssl", "_ssl", "socket"):
            del sys.modules[name]
    import ssl

    return lambda: ssl is not before


def attempt(port, context):
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", int(port)), 10)) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert tls.recv(1)
            return tls.version()
    except OSError as error:
        return str(error)


def make():
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = 0x301
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def main(names, when, *ports):
    warnings.simplefilter("ignore")
    proofs = [globals()[name]() for name in names.split("+")]
    warnings.simplefilter("ignore")  # some tools have filters of their own
    if when == "early":
        enforce()
    older = make()
    if when == "late":
        enforce()
    told = {"older": [attempt(port, older) for port in ports]}
    told["new"] = [attempt(port, make()) for port in ports]
    told["works"] = [proof() for proof in proofs]
    if when != "none":
        import tlsfloor

        tlsfloor.require("1.2")
        status = tlsfloor.status()
        told["held"], told["problems"] = status.held, status.problems
        # What tlsfloor itself has done by then, whatever a tool did to it.
        told["again"] = [attempt(port, make()) for port in ports]
        told["instrumented"] = instrumented()
    print(json.dumps(told))


def enforce():
    import tlsfloor

    assert tlsfloor.enforce("1.2").held


def instrumented():
    """Return which modules of tlsfloor came by another loader than importlib's own."""
    return [
        name
        for name, module in sorted(sys.modules.items())
        if name.startswith("tlsfloor.") and type(module.__spec__.loader) is not SourceFileLoader
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
