"""Load ``ssl`` in some way, and ask a server for as little as possible: ``hooked.py WAY PORT``.

Each way got around a finder on ``sys.meta_path``, or broke a program that has one. It is run as a
file, with no help of the test's, and prints what was negotiated or why not.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
import types
import warnings

FILE = os.path.join(os.path.dirname(os.__file__), "ssl.py")


def plain():
    import ssl

    return ssl


def copy_by_spec():
    """A second copy under a name that nobody watches, while the first one is there too."""
    import ssl  # noqa: F401

    return from_file("vendored_ssl", FILE)


def copy_by_runpy():
    import runpy

    return types.SimpleNamespace(**runpy.run_path(FILE, run_name="copied_ssl"))


def copy_in_a_package():
    sys.modules["vendored"] = types.ModuleType("vendored")
    return from_file("vendored.ssl", FILE)


def from_file(name, file):
    spec = importlib.util.spec_from_file_location(name, file)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def finder_in_front():
    """As typeguard's, which answers for every module itself."""
    from importlib.machinery import PathFinder

    class Hook:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return PathFinder.find_spec(name, path, target)

    sys.meta_path.insert(0, Hook)
    return plain()


def finders_wrapped():
    """As Mercurial and bpython do: replace each finder on sys.meta_path by a wrapper."""

    class Wrapper:
        def __init__(self, finder):
            self._finder = finder

        def __getattr__(self, name):
            return getattr(self._finder, name)

        def find_spec(self, fullname, path, target=None):
            find_spec = getattr(self._finder, "find_spec", None)
            return find_spec and find_spec(fullname, path, target)

    sys.meta_path[:] = [Wrapper(each) for each in sys.meta_path]
    return plain()


def finders_replaced():
    from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

    sys.meta_path = [BuiltinImporter, FrozenImporter, PathFinder]
    return plain()


def load_module():
    loader = importlib.util.find_spec("ssl").loader
    loader.load_module("ssl")
    return plain()


def by_imp():
    import imp

    imp.load_module("ssl", *imp.find_module("ssl"))
    return plain()


def by_imp_dynamic():
    import imp

    del_all("ssl", "_ssl")
    imp.load_dynamic("_ssl", importlib.util.find_spec("_ssl").origin)
    return plain()


def by_pkgutil():
    import pkgutil

    pkgutil.find_loader("ssl").load_module("ssl")
    return plain()


def path_finder():
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec("ssl")
    module = sys.modules["ssl"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return plain()


def get_code():
    """As debuggers and measuring tools do, which execute the code themselves."""
    spec = importlib.util.find_spec("ssl")
    module = sys.modules["ssl"] = types.ModuleType("ssl")
    module.__spec__, module.__file__ = spec, spec.origin
    exec(spec.loader.get_code("ssl"), vars(module))
    return plain()


def source_loader():
    from importlib.machinery import SourceFileLoader

    SourceFileLoader("ssl", FILE).load_module()
    return plain()


def source_text():
    """The text itself, compiled under the name of a program."""
    module = sys.modules["texted"] = types.ModuleType("texted")
    with open(FILE) as file:
        exec(compile(file.read(), "texted.py", "exec"), vars(module))
    return module


def lazy_loader():
    spec = importlib.util.find_spec("ssl")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules["ssl"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def import_module():
    return importlib.import_module("ssl")


def reloaded():
    import ssl

    return importlib.reload(ssl)


def reloaded_native():
    import _ssl

    importlib.reload(_ssl)
    return plain()


def dropped():
    import ssl  # noqa: F401

    del_all("ssl", "_ssl")
    return plain()


def dropped_with_ours():
    """As ddtrace does: all that was loaded since."""
    import ssl  # noqa: F401

    del_all(*[each for each in sys.modules if each.partition(".")[0] in ("tlsfloor", "ssl")])
    del_all("_ssl")
    return plain()


def native_by_file():
    """The extension itself under another name, and a copy of ssl above it."""
    native = from_file("vendored._ssl", importlib.util.find_spec("_ssl").origin)
    sys.modules["_ssl"] = native
    return from_file("vendored_ssl", FILE)


def native_by_loader():
    spec = importlib.util.find_spec("_ssl")
    module = spec.loader.create_module(spec)
    spec.loader.exec_module(module)
    sys.modules["_ssl"] = module
    return plain()


def native_class():
    """A class directly above that of _ssl, without ssl.SSLContext."""
    import _ssl
    import ssl

    class Own(_ssl._SSLContext):
        sslsocket_class = ssl.SSLSocket
        wrap_socket = ssl.SSLContext.wrap_socket
        _encode_hostname = ssl.SSLContext._encode_hostname
        check_hostname = property(
            ssl.SSLContext.__mro__[-2].check_hostname.__get__,
            ssl.SSLContext.__mro__[-2].check_hostname.__set__,
        )

    namespace = types.SimpleNamespace(**vars(ssl))
    namespace.SSLContext = Own
    return namespace


def by_super():
    """As gevent and eventlet set a minimum: by the class below."""
    import ssl

    class Green(ssl.SSLContext):
        @property
        def minimum_version(self):
            return super(ssl.SSLContext, ssl.SSLContext).minimum_version.__get__(self)

        @minimum_version.setter
        def minimum_version(self, value):
            super(ssl.SSLContext, ssl.SSLContext).minimum_version.__set__(self, value)

    namespace = types.SimpleNamespace(**vars(ssl))
    namespace.SSLContext = Green
    return namespace


def in_threads():
    """Many threads import for the first time at once."""
    import threading

    start = threading.Barrier(8)
    found = []

    def work():
        start.wait()
        found.append(lowest(importlib.import_module("ssl")))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    import ssl

    namespace = types.SimpleNamespace(**vars(ssl))
    namespace.made = min(found, key=lambda each: each.minimum_version)
    return namespace


def reloads_amid():
    """Reload in one thread, while another one makes contexts."""
    import ssl  # noqa: F401
    import threading

    done = threading.Event()
    failed = []

    def work():
        while not done.is_set():
            try:
                importlib.reload(sys.modules["ssl"])
            except Exception as error:
                failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(30):
            try:
                lowest(sys.modules["ssl"])
            except (AttributeError, KeyError, TypeError, RecursionError):
                pass  # a class that is just being replaced: so without a floor
    finally:
        done.set()
        thread.join()
    if failed:
        raise failed[0]
    return sys.modules["ssl"]


def del_all(*names):
    for name in names:
        sys.modules.pop(name, None)


def lowest(ssl):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = 0x301
    return context


def main(way, port):
    warnings.simplefilter("ignore")
    ssl = globals()[way]()
    context = getattr(ssl, "made", None) or lowest(ssl)
    import socket

    with contextlib.closing(socket.create_connection(("127.0.0.1", int(port)))) as plain_socket:
        try:
            print(context.wrap_socket(plain_socket).version())
        except OSError as error:
            print("refused:", error)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (ImportError, AttributeError, ValueError) as error:
        print("not here:", type(error).__name__, error)
