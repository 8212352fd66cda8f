# Refuses modules that bring TLS, where they cannot be held. It parses on Python 2.7, as tlsfloor.startup.legacy does, and
# is apart from it since an idle process does without.
import os
import re
import sys


def others(say):
    """Return the modules that bring TLS beside ssl, read from a table that Python 2.7 cannot import."""
    table = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "stacks", "__init__.py")
    try:
        with open(table) as file:
            # Through those two of Arrow go local files as well; what connects in it has modules of its own.
            row = r'^    "(?!pyarrow\._(?:fs|substrait)")([\w.]+)": "tlsfloor\.stacks\.(?!urllib3|stdlib|subinterpreters)'
            return re.findall(row, file.read(), re.MULTILINE)
    except EnvironmentError as error:
        say("tlsfloor: error: TLS stacks other than ssl are not refused, none is known: %s" % error)
        return []


def refuse(names, text):
    """Refuse modules from now on, as if they were not there; ``text()`` says why, or is None for now."""

    class Refusal(object):
        def find_module(self, name, path=None):  # what Python 2.7 asks for, and swallows an ImportError of
            return self if name in names and text() else None

        def find_spec(self, name, path=None, target=None):
            return self.find_module(name) and self.load_module(name)

        def load_module(self, *args, **kwargs):
            raise ImportError(text())

    refusal = Refusal()
    if "_ssl" in names:
        if sys.modules.get("_ssl"):  # another start-up file was earlier: what it holds is refused too
            for cls in sys.modules["_ssl"]._SSLContext.__subclasses__():
                cls._wrap_socket = cls._wrap_bio = refusal.load_module
        sys.modules.pop("ssl", None)
        sys.modules.pop("_ssl", None)
    if sys.version_info >= (3, 8):
        try:
            import tlsfloor.hooks as hooks
        except Exception:  # the installation is damaged, which is what is being said
            pass
        else:
            hooks.watch(
                lambda module: hooks.name_of(module) in names and refusal.load_module(),
                before=lambda name: name in names and refusal.load_module(),
            )
            return
    if "_ssl" in names:
        sys.modules["_ssl"] = None  # in case that a finder comes before this one
    sys.meta_path.insert(0, refusal)
