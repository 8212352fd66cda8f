"""Refuse modules that bring TLS, if they cannot be held.

It parses on Python 2.7, as tlsfloor.startup.legacy does. It is a module of its own because few processes need it.
"""
import os
import re
import sys


def other_stacks(print_line):
    """Return the modules that bring TLS, ssl's excluded, read from a table that Python 2.7 cannot import."""
    table = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "stacks", "__init__.py")
    try:
        with open(table) as file:
            # Two modules of Arrow also read local files. What connects in Arrow has modules of its own.
            row = r'^    "(?!pyarrow\._(?:fs|substrait)")([\w.]+)": "tlsfloor\.stacks\.'
            row += r"(?!urllib3|stdlib|subinterpreters)"
            return re.findall(row, file.read(), re.MULTILINE)
    except EnvironmentError as error:
        print_line("tlsfloor: error: TLS stacks other than ssl are not refused, none is known: %s" % error)
        return []


def refuse_imports(names, reason):
    """Refuse modules from now on, as if they were not installed; ``reason()`` is the text, or None for now."""

    class Refusal(object):
        def find_module(self, name, path=None):  # Python 2.7 calls it, and ignores an ImportError of it
            return self if name in names and reason() else None

        def find_spec(self, name, path=None, target=None):
            return self.find_module(name) and self.load_module(name)

        def load_module(self, *args, **kwargs):
            raise ImportError(reason())

    refusal = Refusal()
    if "_ssl" in names:
        if sys.modules.get("_ssl"):  # another start-up file ran earlier: what it guards is refused too
            for cls in sys.modules["_ssl"]._SSLContext.__subclasses__():
                cls._wrap_socket = cls._wrap_bio = refusal.load_module
        sys.modules.pop("ssl", None)
        sys.modules.pop("_ssl", None)
    if sys.version_info >= (3, 8):
        try:
            import tlsfloor.hooks as hooks
        except Exception:  # the installation is damaged, which the text says
            pass
        else:
            hooks.watch(
                lambda module: hooks.imported_name(module) in names and refusal.load_module(),
                before=lambda name: name in names and refusal.load_module(),
            )
            return
    if "_ssl" in names:
        sys.modules["_ssl"] = None  # in case that another finder comes before this one
    sys.meta_path.insert(0, refusal)
