"""Start-up files in a site directory: what ``tlsfloor install`` writes, and takes away again.

Three files, since each Python reads what it knows. ``_tlsfloor.py`` is the start-up file of the
bootstrap folder with a floor written into it; ``tlsfloor.pth`` imports it as ``site`` reads the
folder, and ``tlsfloor.start`` does so for 3.15 and newer (PEP 829), where it takes the place of the
line in the ``.pth``. ``-E`` and ``-I`` skip none of them, ``-S`` all.

With them comes a copy of the package, for the day on which the package itself is gone: ``pip
uninstall`` and ``uv sync`` know nothing of these files. (They could be entered in its RECORD; then
an upgrade of the package would take the floor away, and nobody would see it.)

Nothing is believed: an interpreter is asked where its site directory is, and is started again to
see that it arms itself.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile

from tlsfloor import policy, versions
from tlsfloor.deploy import atomic
from tlsfloor.errors import InstallError
from tlsfloor.verifier.child import run_program

MODULE = "_tlsfloor"

#: What is written beside the module, in the order in which it comes to be.
STARTERS = {"tlsfloor.start": f"{MODULE}:arm\n", "tlsfloor.pth": f"import {MODULE}\n"}

#: How the folder with the copy of the package begins; what follows tells its content.
SPARE = "_tlsfloor-"

# How long an interpreter may take to start: seconds.
_PATIENCE = 60

# It must run on Python 2.7 too. A virtual environment is nobody's but its owner's (PEP 668).
_ASK = """
import json, os, sys, sysconfig
known = ("site-packages", "dist-packages")
folders = [each for each in sys.path if os.path.basename(each) in known]
purelib = sysconfig.get_path("purelib")
marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
venv = sys.prefix != getattr(sys, "base_prefix", getattr(sys, "real_prefix", sys.prefix))
print("\\n<tlsfloor>" + json.dumps({
    "folder": purelib if purelib in folders else (folders or [""])[0],
    "marker": marker if os.path.exists(marker) and not venv else "",
    "prefix": sys.prefix,
}))
"""

# A start-up file waits for the first TLS stack.
_TELL = """
import json, os, sys
try:
    import ssl
except ImportError:
    pass
state = getattr(sys, "_tlsfloor", {})
files = [os.path.realpath(each["file"]) for each in state.get("files", [])]
print("\\n<tlsfloor>" + json.dumps({"files": files, "failure": state.get("failure", "")}))
"""

# The lines of the start-up file that differ in its copy.
_WRITTEN = re.compile("^FLOOR = .*\nREMEDY = .*$", re.MULTILINE)
_FLOOR = re.compile(r'^FLOOR, OUTCOME = "(.+)", "(.+)"$', re.MULTILINE)
_SUM = "# Written by `tlsfloor install`; `tlsfloor uninstall` removes it. sha256: "


def interpreter_of(prefix: str | None, *, system: bool = False) -> str:
    """Return the interpreter that is meant: of a prefix, of the system, or this one.

    Raises:
        InstallError: there is none.
    """
    if system:  # what this virtual environment was made from
        return str(getattr(sys, "_base_executable", None) or sys.executable)
    if prefix is None:
        return sys.executable
    tried = [os.path.join(prefix, *each) for each in (("bin", "python3"), ("bin", "python"))]
    tried += [os.path.join(prefix, *each) for each in (("Scripts", "python.exe"), ("python.exe",))]
    tried += [os.path.join(prefix, "bin", each) for each in ("python2.7", "pypy3")]
    for each in tried:
        if os.access(each, os.X_OK) and not os.path.isdir(each):
            return os.path.abspath(each)
    raise InstallError(
        f"{prefix} is not the prefix of a Python: there is no bin/python in it",
        hint="name the folder of a virtual environment, or what `python -c 'import sys; "
        "print(sys.prefix)'` prints",
    )


def install(
    interpreter: str, floor: int, outcome: str, *, anyway: bool = False, dry_run: bool = False
) -> list[str]:
    """Write the start-up files for an interpreter, and see that it arms itself.

    Writing them again changes nothing; a higher floor replaces a lower one.

    Args:
        interpreter: its path; its own site directory is where they go.
        floor: a wire number.
        outcome: what becomes of a process in which the floor cannot be held, as in
            ``TLSFLOOR_ON_ERROR``.
        anyway: also into an environment that a system's package manager holds (PEP 668).
        dry_run: write nothing, and only tell what would be written.

    Returns:
        What was written, in that order: the folder with a copy of the package, and the files; none
        where they are there already.

    Raises:
        InstallError: they cannot be written, another floor, a link or somebody else's file is in
            their place, or the interpreter does not arm itself. Nothing has changed then.

    .. versionadded:: 0.1
    """
    site = _ask(interpreter)
    folder = site["folder"]
    if site["marker"] and not anyway:
        raise InstallError(
            f"{folder} is managed by the system: {site['marker']}",
            hint="install into a virtual environment; or, in an image of your own, add "
            "--break-system-packages",
        )
    before = _installed(folder)
    says = _FLOOR.search(before.get(f"{MODULE}.py", ""))
    if says and versions.parse(says[1]) > floor:
        raise InstallError(
            f"floor {says[1]} is installed in {folder}, and a floor is never lowered",
            hint="tlsfloor uninstall, and install again",
        )
    package = os.path.dirname(policy.BOOTSTRAP)
    spare = SPARE + _digest(package)[:12]
    copy = os.path.join(folder, spare)
    texts = {f"{MODULE}.py": _module(floor, outcome, site, spare), **STARTERS}
    changed = {
        os.path.join(folder, name): before.get(name)
        for name, text in texts.items()
        if before.get(name) != text
    }
    copies = [] if _is_whole(copy) else [copy]
    if dry_run:
        return [*copies, *changed]
    done: list[str] = []
    try:
        for path in copies:
            _copy(package, path)
        for path in changed:
            atomic.write(path, texts[os.path.basename(path)])
            done.append(path)
        _check(interpreter, os.path.join(folder, f"{MODULE}.py"))
    except BaseException as error:
        _take_back(copies, {path: changed[path] for path in reversed(done)})
        if isinstance(error, OSError):
            raise _unwritable(folder, error) from None
        raise
    for each in _copies(folder):
        if each != copy:
            shutil.rmtree(each)
    return [*copies, *changed]


def _take_back(copies: list[str], written: dict[str, str | None]) -> None:
    """Remove what was written; a file that was there before gets its text back."""
    for path, text in written.items():
        if text is None:
            os.unlink(path)
        else:
            atomic.write(path, text)
    for each in copies:
        shutil.rmtree(each, ignore_errors=True)


def uninstall(interpreter: str, *, dry_run: bool = False) -> list[str]:
    """Remove what ``install()`` wrote for an interpreter, and nothing else.

    Returns:
        What was removed, or would be with ``dry_run``; empty where nothing was installed.

    Raises:
        InstallError: a file was changed since, or cannot be removed.

    .. versionadded:: 0.1
    """
    folder = _ask(interpreter)["folder"]
    # What imports the module goes first.
    removed = [os.path.join(folder, name) for name in reversed(list(_installed(folder)))]
    # Python's own of the module, which would be imported without its source on 2.7.
    cache = os.path.join(folder, "__pycache__")
    for place in (cache, folder) if removed else ():
        names = os.listdir(place) if os.path.isdir(place) else []
        removed += [
            os.path.join(place, name) for name in names if re.match(rf"{MODULE}\..*pyc$", name)
        ]
    removed += _copies(folder)
    try:
        for path in [] if dry_run else removed:
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
    except OSError as error:
        raise _unwritable(folder, error) from None
    return removed


def _copies(folder: str) -> list[str]:
    """Return the copies of the package in a folder, whole or not."""
    names = [name for name in os.listdir(folder) if re.match(rf"\.?{SPARE}\w+$", name)]
    return [os.path.join(folder, name) for name in sorted(names)]


def _copy(package: str, to: str) -> None:
    """Copy the package, so that the folder has its name only when it is whole."""
    if os.path.lexists(to):
        shutil.rmtree(to)
    fresh = tempfile.mkdtemp(prefix=f".{SPARE}", dir=os.path.dirname(to))
    try:
        os.chmod(fresh, 0o755)  # noqa: S103 - others must read it
        compiled = shutil.ignore_patterns("__pycache__", "*.py[co]")
        shutil.copytree(package, os.path.join(fresh, "tlsfloor"), ignore=compiled)
        os.rename(fresh, to)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _is_whole(copy: str) -> bool:
    """Tell whether a copy of the package is there with the content that its name tells."""
    return not os.path.islink(copy) and copy.endswith(
        SPARE + _digest(os.path.join(copy, "tlsfloor"))[:12]
    )


def _digest(package: str) -> str:
    """Return what tells the content of a package; bytecode does not count."""
    made = hashlib.sha256()
    for place, folders, names in os.walk(package):
        folders.sort()
        for name in sorted(each for each in names if each.endswith((".py", ".json", ".pem"))):
            path = os.path.join(place, name)
            made.update(os.path.relpath(path, package).encode() + b"\0")
            with open(path, "rb") as file:
                made.update(hashlib.sha256(file.read()).digest())
    return made.hexdigest()


def _ask(interpreter: str) -> dict[str, str]:
    """Ask an interpreter for its site directory, and who manages it."""
    site: dict[str, str] = _run(interpreter, _ASK)
    if not site["folder"]:
        raise InstallError(
            f"{interpreter} has no site directory",
            hint="call tlsfloor.enforce() where its program starts",
        )
    return site


def _run(interpreter: str, program: str) -> dict[str, str]:
    # -E as well: what is asked for is what holds without an environment.
    command = [interpreter, "-B", "-E", "-s", "-c", program]
    printed, problem = run_program(command, _PATIENCE)
    try:
        # Start-up files of others may print as well, and print anything.
        found: dict[str, str] = json.loads(printed.split("\n<tlsfloor>")[-1].split("\n")[0])
    except ValueError as error:
        raise InstallError(
            f"{interpreter} cannot be asked where its site directory is: {problem or error}",
            hint=f"{interpreter} -E -s -c 'import sys; print(sys.path)'",
        ) from None
    return found


def _module(floor: int, outcome: str, site: dict[str, str], spare: str) -> str:
    """Return the start-up file with its floor, and a sum that tells whether it was changed."""
    with open(os.path.join(policy.BOOTSTRAP, "sitecustomize.py"), encoding="ascii") as file:
        text = file.read()
    package = os.path.dirname(policy.bootstrap_folder())
    paths = [os.path.join(site["folder"], name) for name in (f"{MODULE}.py", *STARTERS)]
    remedy = (
        f"; hint: {paths[0]} needs the package in {package}, or its copy in "
        f"{os.path.join(site['folder'], spare)}: install it again with another Python, "
        f"`tlsfloor install --prefix {site['prefix']}`; or remove the floor, "
        f"`rm {' '.join(paths)}`"
    )
    lines = (
        f'FLOOR, OUTCOME = "{versions.floor_name(floor)}", "{outcome}"',
        f"PACKAGE, SPARE = {package!a}, {spare!a}",
        f"REMEDY = {remedy!a}",
    )
    text = _WRITTEN.sub(lambda _: "\n".join(lines), text, 1)
    return f"{text}{_SUM}{_sum_of(text)}\n"


def _sum_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _installed(folder: str) -> dict[str, str]:
    """Return what is installed in a folder: the name of each file, and its text.

    Raises:
        InstallError: a file was changed by hand, or is somebody else's.
    """
    found = {}
    for name in (f"{MODULE}.py", *STARTERS):
        path = os.path.join(folder, name)
        if os.path.islink(path):
            raise InstallError(
                f"{path} is a link to {os.readlink(path)}, and nothing is written through a link",
                hint=f"rm {path}",
            )
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _unwritable(folder, error) from None
        body, _, told = text.rpartition(_SUM)
        whole = _FLOOR.search(body) and told.strip() == _sum_of(body)
        if text != STARTERS.get(name) and not whole:
            raise InstallError(
                f"{path} was changed since it was written, or is not tlsfloor's", hint=f"rm {path}"
            )
        found[name] = text
    return found


def _check(interpreter: str, file: str) -> None:
    """Start an interpreter, and see that the file armed it."""
    found = _run(interpreter, _TELL)
    if os.path.realpath(file) not in found["files"] or found["failure"]:
        why = found["failure"].replace("tlsfloor: error: ", "") or f"it does not read {file}"
        raise InstallError(
            f"{interpreter} does not arm itself: {why}",
            hint="tlsfloor verify tells what it accepts",
        )


def _unwritable(folder: str, error: OSError) -> InstallError:
    hints = {
        errno.EACCES: f"run it as the owner of {folder}",
        errno.EPERM: f"run it as the owner of {folder}",
        errno.EROFS: "install while the image is built; or mount a bundle: tlsfloor bundle DIR",
    }
    return InstallError(
        f"{folder} cannot be changed: {error.strerror}",
        hint=hints.get(error.errno or 0, "tlsfloor env, for the same by the environment"),
    )
