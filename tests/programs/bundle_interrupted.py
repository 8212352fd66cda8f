"""Make a bundle again and again, interrupted at each system call in turn; print each problem.

``bundle_interrupted.py FOLDER BEFORE HOW``: FOLDER is where it works. BEFORE is what is there at
first: "nothing", "a bundle" or "a bundle without links". HOW it is interrupted: "kill", "Ctrl-C" or
"a full disk". The package is small and nothing is compiled, so there are fewer than 100 calls.
"""

import errno
import json
import os
import shutil
import signal
import sys

import tlsfloor
from tlsfloor.deploy import bundle_folder
from tlsfloor.errors import InstallError

folder, before, how = sys.argv[1:]
bundle_folder._compile = lambda *_: "no-bytecode"
os.sync = lambda: None  # it takes a while, and no power is lost here


def package(version):
    """Make a small package, and let bundles be made from it."""
    place = os.path.join(folder, f"source-{version}", "tlsfloor")
    for name in ("__init__", "arm", "bootstrap/sitecustomize"):
        os.makedirs(os.path.dirname(os.path.join(place, name)), exist_ok=True)
        with open(os.path.join(place, f"{name}.py"), "w") as file:
            file.write(version)
    tlsfloor.__file__, tlsfloor.__version__ = os.path.join(place, "__init__.py"), version


def found(volume):
    """Return the versions that a Python would load, "" for a file that is missing."""
    versions = set()
    for name in ("__init__", "arm", "bootstrap/sitecustomize"):
        try:
            with open(os.path.join(volume, "tlsfloor", f"{name}.py")) as file:
                versions.add(file.read())
        except FileNotFoundError:
            versions.add("")
    return versions


def interrupt(point):
    """Interrupt this process at one call. Later calls, such as those that clean up, run."""

    def hook(event, _):
        if event == "open" or event.startswith(("os.", "shutil.")):
            calls.append(event)
            if len(calls) == point:
                if how == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise KeyboardInterrupt if how == "Ctrl-C" else OSError(errno.ENOSPC, "full")

    calls = []
    sys.addaudithook(hook)
    return calls


template = os.path.join(folder, "template")
package("old")
if before == "nothing":
    os.mkdir(template)
else:
    bundle_folder.make_bundle(template)
if before == "a bundle without links":
    plain = os.path.join(folder, "plain")
    shutil.copytree(os.path.realpath(os.path.join(template, "tlsfloor", os.pardir)), plain)
    template = plain
package("new")
expected = {""} if before == "nothing" else {"old"}

ended = point = 0
while not ended:
    point += 1
    volume = os.path.join(folder, f"volume-{point}")
    shutil.copytree(template, volume, symlinks=True)
    assert found(volume) == expected
    child = os.fork()
    if not child:
        status = 2
        calls = interrupt(point)
        try:
            bundle_folder.make_bundle(volume)
            status = 0 if len(calls) < point else 1
        except (InstallError, KeyboardInterrupt):
            status = 1
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    ended = status == 0
    if status == 2 << 8:
        print(f"point {point}: an unexpected error")
    if found(volume) not in (expected, {"new"}) or (ended and found(volume) != {"new"}):
        print(f"point {point}: half a bundle: {sorted(found(volume))}")
    try:  # and what was left is no obstacle
        bundle_folder.make_bundle(volume)
    except InstallError as error:
        print(f"point {point}: no bundle can be made: {error}")
    else:
        with open(os.path.join(volume, "tlsfloor-bundle.json")) as file:
            if found(volume) != {"new"} or json.load(file)["tlsfloor"] != "new":
                print(f"point {point}: the next bundle is not whole")
    shutil.rmtree(volume)
print(f"{point} points", file=sys.stderr)
