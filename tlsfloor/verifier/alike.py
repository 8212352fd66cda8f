"""Decide which virtual environments behave alike, so that one of them is tried for all.

Theory of operation
-------------------

A thousand environments of five runtimes are mostly copies of each other. Two of them may share a
judgement only if nothing that decides about TLS can differ. A wrong guess would call an interpreter
safe that is not, so the comparison is as plain as possible. It knows nothing about packages: it
compares *everything* in the two folders, and what it does not understand is not compared but tried.

The digest of an environment has two parts. The first is the runtime:

* the real file of the interpreter, with its device, inode, size and time. A copy in the
  environment (``venv --copies``) is compared by its content, as all else there is;
* ``pyvenv.cfg`` without ``command`` and ``prompt``, which no Python reads. ``home`` decides which
  standard library is used (CPython, Modules/getpath.py), and ``include-system-site-packages``
  whether the packages of the runtime are (Lib/site.py). Both are then the same folders for both;
* how the environment is started: by which of its names, with all variables of the caller or with
  few, and as which user. ``PYTHONPATH`` and the other variables are the same in the whole run.

The second is each file, folder and link in the environment: its place, owner and mode, the text of
a link, and the content of a file. So these are in it without any list of names: start-up files,
modules that shadow others, the packages that a case tries and what those import, optional modules
such as ``brotli``, shared libraries, metadata. The content is read. Sizes and times of two files
prove nothing about each other, and RECORD is only what an installer claims. Hard links to one file
are read once in a run. The folders above the environment count with their owners and modes: the
user of ``--as-user`` has to pass them.

The content of a file differs between two equal environments where it has the path of its own
environment. Such a path, as a whole word, counts as the same. So does the length of a text with
such a path in bytecode (CPython, Python/marshal.c). Whether bytecode is current (PEP 552) counts in
place of the time of its source. Hashes of scripts in RECORD are left out, and so are the files that
a shell reads to activate an environment. Of pip only the names of its Python files count, unless
start-up code could import it: it is most of an environment, and no case imports it.

An environment is tried by itself if it has anything that leads out of it (a link to a folder, a
line of a ``.pth`` file, an editable install, a search path of a shared library), that cannot be
read, that changed in the meantime, or that is neither file, folder nor link. So is one whose files
take longer to read than a trial takes, and every interpreter that belongs to no virtual
environment.

The digest of the environment that is tried is computed before and after. If it changed, for example
by a deployment, its verdict counts for no other.

Equal code does not behave equally in two places if it asks where it is. Packages do not, but a
``sitecustomize`` of an operator may (``if "/legacy/" in sys.prefix``). So an environment that has
start-up code, of its own or of a folder that it shares with others, never gets the judgement of
another one without being started: the caller tries the decisive cases in it, and compares the
outcomes. Exempt is code that is known not to ask: tlsfloor's, that of installers, and Debian's.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from typing import FrozenSet, Tuple

from tlsfloor.verifier.startup_code import CUSTOMIZE, is_within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tlsfloor.verifier.environment import User
    from tlsfloor.verifier.find import Interpreter

# Bytes that are read in one environment. Reading more takes longer than trying it.
_MOST = 256 * 2**20

# What the path of the environment itself is replaced by.
_PLACE = b"\0place of the environment\0"

# Keys of pyvenv.cfg that no Python reads: they tell people how it was made, and its name.
_UNREAD = (b"command", b"prompt")

# Lines of .pth files that are code and are the same in every environment that an installer makes:
# setuptools (_distutils_hack), virtualenv. What they import is in the environment, so it counts.
_INSTALLERS = re.compile(
    r"import os; var = 'SETUPTOOLS_USE_DISTUTILS'; "
    r"enabled = os\.environ\.get\(var, '(?:local|stdlib)'\) == 'local'; "
    r"enabled and __import__\('_distutils_hack'\)\.add_shim\(\);|import _virtualenv"
)

# Where the dynamic linker looks for what a shared library needs, from its folder (ld.so(8), dyld).
_ORIGIN = re.compile(rb"(?:\$ORIGIN|\$\{ORIGIN\}|@loader_path)((?:/[^/:\0\n]+)*)")

# Bytecode in its cache: 16 bytes of header (PEP 552) since Python 3.7.
_CACHED = re.compile(r"(.+)\.(?:cpython-3(?:[7-9]|\d\d)t?|pypy3[7-9]|pypy3\d\d)(?:\.opt-\d)?\.pyc")

# Its header: four bytes each of magic, flags, time and size of the source.
_FLAGS, _HEADER = 8, 16

# How a text begins in marshalled code: its type, and its length in one byte or four.
_TEXT = re.compile(rb"(?:([zZ\xfa\xda])(.)|([aAutTs\xe1\xc1\xf5\xf4\xf3])(..\0\0))\Z", re.DOTALL)

# What a path cannot follow, and what it ends with, if it is not a part of another path.
_NAME = re.compile(rb"[\w./\\-]")
_END = re.compile(rb"[/\\\s'\":;,)\]\0]|\Z")

# What only a shell reads.
_ACTIVATE = re.compile(r"activate(?:\.(?:bat|csh|fish|nu|ps1|xsh))?|deactivate\.bat", re.IGNORECASE)


class _UnclearError(Exception):
    """Something in an environment that cannot be compared."""


@dataclass(frozen=True)
class Likeness:
    """What an interpreter has in common with others.

    Interpreters with the same ``digest`` may share a judgement. It is empty, and ``why`` says why,
    for one that has to be tried by itself. ``has_code`` tells that it has start-up code of its own.
    """

    digest: str = ""
    why: str = ""
    has_code: bool = False


def runtime_of(interpreter: Interpreter) -> str:
    """Return what decides about an isolated launch, empty if that is not known.

    It is the real file of the interpreter, its identity, and the folder where Python looks for its
    standard library.
    """
    if interpreter.problem or interpreter.image:
        return ""
    try:
        real = os.path.realpath(interpreter.path)
        at = os.stat(real)
        home = os.path.dirname(real)
        if interpreter.venv:
            if is_within(real, interpreter.venv):
                return ""  # a copy, which may find other libraries
            # As it is written: Python looks above the link, if it is one.
            [home] = [
                os.fsdecode(value.strip())
                for key, _, value in _settings(interpreter.venv)
                if key.strip().lower() == b"home"
            ]
    except (OSError, ValueError):  # no home, or two
        return ""
    return repr((real, _identity(at), home, bool(interpreter.found_in)))


def _settings(venv: str) -> list[tuple[bytes, bytes, bytes]]:
    """Return the lines of pyvenv.cfg that a Python reads, each in three parts.

    Raises:
        OSError, ValueError: it cannot be read, or not every Python finds the same lines in it.
    """
    path = os.path.join(venv, "pyvenv.cfg")
    with open(path, "rb") as file:
        data = file.read().replace(b"\r\n", b"\n")
    # Some end a line at a carriage return or after 4 KiB, and the file at a null byte (getpath).
    if re.search(rb"[\r\0]|[^\n]{4000}", data):
        raise ValueError(f"{path} has unusual lines")
    lines = [line.partition(b"=") for line in data.split(b"\n")]
    return [parts for parts in lines if parts[0].strip().lower() not in _UNREAD]


def _identity(at: os.stat_result) -> tuple[int, ...]:
    return at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns


def _rights(at: os.stat_result) -> tuple[int, ...]:
    return stat.S_IMODE(at.st_mode), at.st_uid, at.st_gid


# Of a file: its digest, its first bytes, and where the dynamic linker looks from its folder.
_Content = Tuple[bytes, bytes, FrozenSet[bytes]]


class Comparer:
    """Computes what interpreters have in common. It reads a file with many names once."""

    def __init__(self, user: User | None = None) -> None:
        self._user = user
        self._contents: dict[tuple[int, ...], _Content] = {}

    def likeness(self, interpreter: Interpreter) -> Likeness:
        """Return what an interpreter has in common with others."""
        if interpreter.problem or interpreter.image:
            return Likeness(why="it cannot be compared")
        if not interpreter.venv:
            return Likeness(why="it belongs to no virtual environment")
        if os.environ.get("PYTHONPYCACHEPREFIX"):
            return Likeness(why="PYTHONPYCACHEPREFIX says that its bytecode is elsewhere")
        walk = _Walk(interpreter, self._user, self._contents)
        try:
            return Likeness(walk.digest(), "", walk.has_code)
        except _UnclearError as error:
            return Likeness(why=str(error))
        except (OSError, ValueError) as error:  # ValueError: a null byte in a path
            return Likeness(why=f"it cannot be compared: {error}")


class _Walk:
    """Computes the digest of one environment."""

    def __init__(
        self,
        interpreter: Interpreter,
        user: User | None,
        contents: dict[tuple[int, ...], _Content],
    ) -> None:
        self.has_code = False
        self._interpreter = interpreter
        self._user = user
        self._contents = contents
        self._top = interpreter.venv
        self._sum = hashlib.sha256()
        self._read = 0
        self._place = os.fsencode(self._top)
        self._programs = os.path.realpath(os.path.dirname(interpreter.path))

    def digest(self) -> str:
        """Return the digest.

        Raises:
            OSError, ValueError, _UnclearError: the environment cannot be compared.
        """
        top, path = self._top, self._interpreter.path
        real = os.path.realpath(path)
        if os.path.dirname(self._programs) != top:
            # Then sys.prefix is not this folder (Lib/site.py).
            raise _UnclearError("its pyvenv.cfg is not above the folder of its programs")
        names = os.path.basename(self._programs), os.path.basename(path)
        self._add(names, bool(self._interpreter.found_in))
        if not is_within(real, top):
            self._add(real, _identity(os.stat(real)))
        self._add(self._neutral(b"\n".join(map(b"".join, _settings(top)))))
        above = {top}
        while os.path.dirname(top) != top:
            top = os.path.dirname(top)
            above.add(top)
        for each in above:
            self._refuse_access_lists(each)
        self._add(sorted({_rights(os.stat(each)) for each in above}), os.stat(self._top).st_dev)
        self._folder(self._top)
        return self._sum.hexdigest()

    def _add(self, *facts: object) -> None:
        self._sum.update(repr(facts).encode("utf-8", "surrogateescape"))

    def _folder(self, folder: str, *, is_pip: bool = False) -> None:
        """Add a folder and what is below it."""
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        name = os.path.basename(folder).lower()
        # On Windows the folder of the environment is on the path, too, and in Debian dist-packages.
        is_packages = name.endswith("-packages") or folder == self._top
        if is_packages:
            # Each of them: any of them may lead out of the environment.
            self.has_code |= True in [self._is_code(entry) for entry in entries]
        for entry in entries:
            if is_pip and entry.name == "__pycache__":
                continue
            at = entry.stat(follow_symlinks=False)
            kind = stat.S_IFMT(at.st_mode)
            self._add(entry.path[len(self._top) :], at.st_mode, at.st_uid, at.st_gid)
            if kind == stat.S_IFLNK:
                self._link(entry.path)
            elif kind == stat.S_IFDIR:
                unused = is_packages and entry.name == "pip" and not self.has_code
                self._folder(entry.path, is_pip=is_pip or unused)
            elif kind != stat.S_IFREG:
                raise _UnclearError(f"{entry.path} is neither a file nor a folder")
            elif not (is_pip and entry.name.endswith(".py")):
                self._file(folder, entry, at if at.st_ino else os.stat(entry.path))
            if kind != stat.S_IFLNK:
                self._refuse_access_lists(entry.path)

    def _refuse_access_lists(self, path: str) -> None:
        """Refuse to compare what another user may access although the mode does not say so."""
        if not self._user or not hasattr(os, "listxattr"):
            return
        if "system.posix_acl_access" in os.listxattr(path):
            raise _UnclearError(f"{path} has an access control list")

    def _is_code(self, entry: os.DirEntry[str]) -> bool:
        """Return whether an entry of site-packages is start-up code, or adds a folder with code."""
        if entry.name.lower().split(".")[0] in CUSTOMIZE or entry.name.endswith(".start"):
            return True
        if not entry.name.endswith(".pth"):
            return False
        if not entry.is_file():
            raise _UnclearError(f"{entry.path} is no file")  # and to open a pipe may take for ever
        with open(entry.path, encoding="utf-8-sig", errors="surrogateescape") as file:
            text = file.read(_MOST)
        if not re.sub(r"[\t\n]", "", text).isprintable():
            # Some of these characters end a line in some versions, others depend on the locale.
            raise _UnclearError(f"{entry.path} has unusual characters")
        lines = [line.rstrip() for line in text.split("\n")]
        lines = [line for line in lines if line and not _INSTALLERS.fullmatch(line)]
        folders = [os.path.join(os.path.dirname(entry.path), line) for line in lines]
        folders = list(filter(os.path.exists, folders))
        for path in folders:
            if not is_within(os.path.realpath(path), self._top):
                raise _UnclearError(f"{entry.path} adds {path} to the path")
        return bool(folders) or "import" in "\n".join(lines)

    def _link(self, path: str) -> None:
        """Add a link; if it leads out of the environment, the file that it leads to."""
        text = os.fsencode(os.readlink(path))
        real = os.path.realpath(path)
        self._add(self._neutral(text))
        if is_within(real, self._top) or not os.path.exists(real):
            return
        at = os.stat(real)
        if not stat.S_ISREG(at.st_mode):
            raise _UnclearError(f"{path} leads to {real}, which is no file of the environment")
        self._add(real, _rights(at), _identity(at))

    def _file(self, folder: str, entry: os.DirEntry[str], at: os.stat_result) -> None:
        """Add the content of a file."""
        path, name = entry.path, entry.name
        if folder == self._programs and _ACTIVATE.fullmatch(name):
            return
        if folder == self._top and name == "pyvenv.cfg":
            return
        has_names = at.st_nlink > 1
        content = self._contents.get(_identity(at)) if has_names else None
        if content is None:
            self._read += at.st_size
            if self._read > _MOST:
                raise _UnclearError(f"it has more than {_MOST // 2**20} MiB to compare")
            with open(path, "rb") as file:
                data = file.read()
            if len(data) != at.st_size:
                raise _UnclearError(f"{path} has changed in the meantime")
            head = data[:_HEADER]
            if not has_names:
                # Files with many names have the paths of the environment that was first.
                data = self._neutral(data, name)
            origins = frozenset(each.group(1) for each in _ORIGIN.finditer(data))
            content = hashlib.sha256(data).digest(), head, origins
            if has_names:
                self._contents[_identity(at)] = content
        self._refuse_to_lead_out(path, content[2])
        self._sum.update(content[0])
        if name.endswith(".pyc"):
            self._add(_is_current(folder, name, content[1]) or content[1])

    def _refuse_to_lead_out(self, path: str, origins: Iterable[bytes]) -> None:
        for origin in origins:
            target = os.path.normpath(os.path.dirname(path) + os.fsdecode(origin))
            if not is_within(target, self._top):
                raise _UnclearError(f"{path} looks for libraries in {target}")

    def _neutral(self, data: bytes, name: str = "") -> bytes:
        """Return a content without what differs in two environments that are equal."""
        if name == "RECORD":
            lines = data.split(b"\n")
            data = b"\n".join(each for each in lines if not each.startswith((b"../", b"..\\")))
        if _CACHED.fullmatch(name):
            data = data[:_FLAGS] + data[_HEADER:]  # in place of these, it counts if it is current
        if self._place not in data:
            return data
        if self._place + b"/.." in data:
            raise _UnclearError(f"{name or 'a link'} leads out of it")
        first, *parts = data.split(self._place)
        done = [first]
        for part in parts:
            before = done[-1]
            text = _TEXT.search(before[-5:]) if _CACHED.fullmatch(name) else None
            if text and part[:1] in (b"/", b"\\"):
                kind, length = text.group(1) or text.group(3), text.group(2) or text.group(4)
                rest = int.from_bytes(length, "little") - len(self._place)
                done[-1] = before[: -len(text.group())]
                done += [_PLACE, kind, b"%d" % rest, part]
            elif _NAME.match(before[-1:]) or not _END.match(part):
                done += [self._place, part]  # a part of another path
            else:
                done += [_PLACE, part]
        return b"".join(done)


def _is_current(folder: str, name: str, head: bytes) -> bool:
    """Return whether Python takes bytecode in a cache for that of its source."""
    match = _CACHED.fullmatch(name)
    if not match or len(head) != _HEADER or any(head[_FLAGS - 4 : _FLAGS]):
        return False  # no time, but perhaps a hash, which is not compared with the source
    try:
        at = os.stat(os.path.join(os.path.dirname(folder), f"{match.group(1)}.py"))
    except FileNotFoundError:
        return False
    facts = int(at.st_mtime) & 0xFFFFFFFF, at.st_size & 0xFFFFFFFF
    return head[_FLAGS:] == b"".join(each.to_bytes(4, "little") for each in facts)
