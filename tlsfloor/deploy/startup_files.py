"""The start-up files that ``tlsfloor install`` writes into a site directory.

There are three, because Python versions read different ones. ``_tlsfloor.py`` is the start-up file
of the bootstrap folder with a floor written into it. ``tlsfloor.pth`` imports it when ``site``
reads the folder. ``tlsfloor.start`` does this on Python 3.15 and newer (PEP 829), which then
ignores the import line of the ``.pth`` file. ``-E`` and ``-I`` skip none of them, ``-S`` skips all.

A copy of the package is written next to them. It is used when the package itself is gone: ``pip
uninstall`` and ``uv sync`` do not know these files. (The package's RECORD could list them, but then
an upgrade of the package would remove the floor, and nobody would notice.)

The interpreter itself is asked for its site directory. Afterwards it is started again to see
whether the files arm it.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import re
import shlex
import shutil
import sys

from tlsfloor import policy, versions
from tlsfloor.deploy import atomic_files
from tlsfloor.errors import InstallError
from tlsfloor.verifier.child import run_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MODULE = "_tlsfloor"

#: What imports the module, in the order in which it is written.
STARTERS = {"tlsfloor.start": f"{MODULE}:arm\n", "tlsfloor.pth": f"import {MODULE}\n"}

#: The name of the folder with the copy of the package, up to the digest of its content.
COPY = "_tlsfloor-"

# Where an environment may have its interpreter, in the order in which they are tried.
_INTERPRETERS = (
    *("bin/python3", "bin/python", "Scripts/python.exe", "python.exe"),
    *("bin/python2.7", "bin/pypy3"),
)

# Seconds that an interpreter may take to start.
_TIME_LIMIT = 60

# Prints where the site directory is, who manages it, and which start-up files have armed Python,
# which happens with the first TLS stack. It must run on Python 2.7 too. No package manager manages
# a virtual environment (PEP 668).
_DESCRIBE = """
import json, os, sys, sysconfig
try:
    import ssl
except ImportError:
    pass
known = ("site-packages", "dist-packages")
folders = [folder for folder in sys.path if os.path.basename(folder) in known]
purelib = sysconfig.get_path("purelib")
marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
venv = sys.prefix != getattr(sys, "base_prefix", getattr(sys, "real_prefix", sys.prefix))
state = getattr(sys, "_tlsfloor", {})
print("\\n<tlsfloor>" + json.dumps({
    "folder": purelib if purelib in folders else (folders or [""])[0],
    "marker": marker if os.path.exists(marker) and not venv else "",
    "prefix": sys.prefix,
    "files": [os.path.realpath(entry["file"]) for entry in state.get("files", [])],
    "failure": state.get("failure", ""),
}))
"""

# The lines of the start-up file that are replaced when it is installed.
_REPLACED = re.compile("^FLOOR = .*\nREMEDY = .*$", re.MULTILINE)
_FLOOR = re.compile(r'^FLOOR, OUTCOME = "(.+)", "(.+)"$', re.MULTILINE)
_CHECKSUM = "# Written by `tlsfloor install`; `tlsfloor uninstall` removes it. sha256: "


def find_interpreter(prefix: str | None, *, system: bool = False) -> str:
    """Return the interpreter of a prefix, or that of the system, or this one.

    Raises:
        InstallError: there is none.
    """
    if system:  # the one from which this virtual environment was made
        return str(getattr(sys, "_base_executable", None) or sys.executable)
    if prefix is None:
        return sys.executable
    for name in _INTERPRETERS:
        path = os.path.join(prefix, *name.split("/"))
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return os.path.abspath(path)
    raise InstallError(
        f"{prefix} is not the prefix of a Python: it has no bin/python",
        hint="name the folder of a virtual environment, or what `python -c 'import sys; "
        "print(sys.prefix)'` prints",
    )


def install_files(
    interpreter: str,
    floor: int,
    outcome: str,
    *,
    even_if_managed: bool = False,
    dry_run: bool = False,
) -> list[str]:
    """Write the start-up files for an interpreter, and check that they arm it.

    A higher floor replaces a lower one. If nothing is different, nothing is written.

    Args:
        interpreter: its path. The files go into its own site directory.
        floor: a wire number.
        outcome: what happens to a process in which the floor cannot be held, as in
            ``TLSFLOOR_ON_ERROR``.
        even_if_managed: also install into an environment that a system's package manager manages
            (PEP 668).
        dry_run: write nothing, and return what would be written.

    Returns:
        What was written, in this order: the folder with a copy of the package, and the files.

    Raises:
        InstallError: the files cannot be written; a higher floor, a link or another file is in
            their place; or they do not arm the interpreter. Nothing has changed then.
    """
    site = _describe(interpreter)
    folder = site["folder"]
    if site["marker"] and not even_if_managed:
        raise InstallError(
            f"{folder} is managed by the system: {site['marker']}",
            hint="install into a virtual environment; or, in an image of your own, add "
            "--break-system-packages",
        )
    before = _read_installed(folder)
    installed = _FLOOR.search(before.get(f"{MODULE}.py", ""))
    if installed and versions.parse(installed[1]) > floor:
        prefix = shlex.quote(site["prefix"])
        raise InstallError(
            f"floor {installed[1]} is installed in {folder}, and a floor is never lowered",
            hint=f"tlsfloor uninstall --prefix {prefix} && "
            f"tlsfloor install --prefix {prefix} --floor {versions.floor_name(floor)}",
        )
    copy = os.path.join(folder, COPY + _digest(atomic_files.package_folder()))
    texts = {
        f"{MODULE}.py": _startup_file(floor, outcome, site, os.path.basename(copy)),
        **STARTERS,
    }
    changed = {name: text for name, text in texts.items() if text != before.get(name)}
    copies = [] if _is_complete(copy) else [copy]
    if not dry_run:
        try:
            _write_and_check(interpreter, folder, copies, changed, before)
        except OSError as error:
            raise _cannot_write(folder, error) from None
        for path in _find_copies(folder):
            if path != copy:
                shutil.rmtree(path)
    return [*copies, *(os.path.join(folder, name) for name in changed)]


def _write_and_check(
    interpreter: str,
    folder: str,
    copies: list[str],
    changed: dict[str, str],
    before: dict[str, str],
) -> None:
    """Write copies of the package and changed files; undo all of it unless they arm Python."""
    done: list[str] = []
    try:
        for path in copies:
            _write_copy(path)
        for name, text in changed.items():
            atomic_files.write_atomically(os.path.join(folder, name), text)
            done.append(name)
        _check_armed(interpreter, os.path.join(folder, f"{MODULE}.py"))
    except BaseException:
        for name in reversed(done):
            path = os.path.join(folder, name)
            if name in before:
                atomic_files.write_atomically(path, before[name])
            else:
                os.unlink(path)
        for path in copies:
            shutil.rmtree(path, ignore_errors=True)
        raise


def uninstall_files(interpreter: str, *, dry_run: bool = False) -> list[str]:
    """Remove what ``install_files()`` wrote for an interpreter, and nothing else.

    Returns:
        What was removed, or what would be with ``dry_run``; empty if nothing was installed.

    Raises:
        InstallError: a file was changed since, or cannot be removed.
    """
    folder = _describe(interpreter)["folder"]
    # What imports the module is removed first.
    paths = [os.path.join(folder, name) for name in reversed(list(_read_installed(folder)))]
    # Python 2.7 would import the module's bytecode without its source.
    for place in ("__pycache__", "") if paths else ():
        paths += glob.glob(os.path.join(glob.escape(folder), place, f"{MODULE}.*pyc"))
    paths += _find_copies(folder)
    try:
        for path in [] if dry_run else paths:
            atomic_files.remove(path)
    except OSError as error:
        raise _cannot_write(folder, error) from None
    return paths


def _find_copies(folder: str) -> list[str]:
    """Return the copies of the package in a folder, complete or not."""
    names = [name for name in os.listdir(folder) if re.match(rf"\.?{COPY}\w+$", name)]
    return [os.path.join(folder, name) for name in sorted(names)]


def _write_copy(path: str) -> None:
    """Write a copy of the package. The folder gets its name when it is complete."""
    if os.path.lexists(path):
        atomic_files.remove(path)
    temporary = atomic_files.make_folder(os.path.dirname(path), f".{COPY}")
    try:
        atomic_files.copy_package(temporary)
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_complete(copy: str) -> bool:
    """Return whether there is a copy of the package with the content that its name says."""
    digest = _digest(os.path.join(copy, "tlsfloor"))
    return not os.path.islink(copy) and copy.endswith(COPY + digest)


def _digest(package: str) -> str:
    """Return a digest of the files of a package, except bytecode."""
    digest = hashlib.sha256()
    for name, content in sorted(atomic_files.read_files(package).items()):
        if not name.endswith((".pyc", ".pyo")):
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _describe(interpreter: str) -> dict[str, Any]:
    """Return what an interpreter prints about itself.

    Raises:
        InstallError: it prints nothing of the kind, or has no site directory.
    """
    # With -E: what matters is what holds without an environment.
    printed, problem = run_program([interpreter, "-B", "-E", "-s", "-c", _DESCRIBE], _TIME_LIMIT)
    try:
        # Start-up files of other packages may print too, and anything.
        site: dict[str, Any] = json.loads(printed.split("\n<tlsfloor>")[-1].split("\n")[0])
    except ValueError as error:
        raise InstallError(
            f"{interpreter} cannot be examined: {problem or error}",
            hint=f"{interpreter} -E -s -c 'import sys; print(sys.path)'",
        ) from None
    if not site["folder"]:
        raise InstallError(
            f"{interpreter} has no site directory",
            hint="call tlsfloor.enforce() where its program starts",
        )
    return site


def _startup_file(floor: int, outcome: str, site: dict[str, Any], copy: str) -> str:
    """Return the text of the module, with its floor and a checksum that shows later changes."""
    with open(os.path.join(policy.BOOTSTRAP, "sitecustomize.py"), encoding="ascii") as file:
        text = file.read()
    package = os.path.dirname(policy.bootstrap_folder())
    paths = [os.path.join(site["folder"], name) for name in (f"{MODULE}.py", *STARTERS)]
    remedy = (
        f"; hint: {paths[0]} needs the package in {package}, or its copy in "
        f"{os.path.join(site['folder'], copy)}: install it again with another Python, "
        f"`tlsfloor install --prefix {site['prefix']}`; or remove the floor, "
        f"`rm {' '.join(paths)}`"
    )
    lines = (
        f'FLOOR, OUTCOME = "{versions.floor_name(floor)}", "{outcome}"',
        f"PACKAGE, PACKAGE_COPY = {package!a}, {copy!a}",
        f"REMEDY = {remedy!a}",
    )
    text = _REPLACED.sub(lambda _: "\n".join(lines), text, 1)
    return f"{text}{_CHECKSUM}{_checksum(text)}\n"


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read_installed(folder: str) -> dict[str, str]:
    """Return the start-up files in a folder: name -> text.

    Raises:
        InstallError: a file was changed, or tlsfloor did not write it.
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
            raise _cannot_write(folder, error) from None
        body, _, checksum = text.rpartition(_CHECKSUM)
        floor = _FLOOR.search(body)
        unchanged = floor and floor[1] in versions.FLOORS and checksum.strip() == _checksum(body)
        if text != STARTERS.get(name) and not unchanged:
            raise InstallError(
                f"{path} was changed since it was written, or tlsfloor did not write it",
                hint=f"rm {path}",
            )
        found[name] = text
    return found


def _check_armed(interpreter: str, file: str) -> None:
    """Start an interpreter, and raise unless the file armed it."""
    found = _describe(interpreter)
    if os.path.realpath(file) not in found["files"] or found["failure"]:
        reason = found["failure"].replace("tlsfloor: error: ", "") or f"it does not read {file}"
        raise InstallError(
            f"{interpreter} is not armed by the installed files: {reason}",
            hint=f"tlsfloor verify {interpreter}",
        )


def _cannot_write(folder: str, error: OSError) -> InstallError:
    hints = {
        errno.EACCES: f"run this command as the owner of {folder}",
        errno.EPERM: f"run this command as the owner of {folder}",
        errno.EROFS: "install while the image is built; or mount a bundle: tlsfloor bundle DIR",
    }
    return InstallError(
        f"{folder} cannot be changed: {error.strerror}",
        hint=hints.get(error.errno or 0, "use `tlsfloor env`, which needs no file"),
    )
