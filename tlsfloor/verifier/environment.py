"""Choose what an interpreter under test gets from this process: variables, folder and user.

To verify an interpreter is to run it, with its start-up files. An interpreter that the user named
is started as a program would be. One that was found below a folder may belong to anybody. It gets
the variables that decide how Python and TLS start, and no others: any of these may be a secret.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass, field

from tlsfloor.errors import PolicyError
from tlsfloor.peers.base import CA_FILE, PEER_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tlsfloor.verifier.find import Interpreter

#: Prefixes of the variables that decide how Python, the loader of libraries and TLS start.
PASSED = ("PYTHON", "PYPY", "TLSFLOOR", "OPENSSL_", "SSL_CERT_", "LD_", "DYLD_", "LC_")

#: The other variables that are passed: a source of the floor, and what any program may need.
PASSED_BY_NAME = frozenset(
    {
        *("TLS_MIN_VERSION", "HOME", "LOGNAME", "USER", "PATH", "SYSTEMROOT"),
        *("LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP"),
    }
)


#: The certificate authority and the identity of the peers.
FILES = (CA_FILE, PEER_FILE)


@dataclass(frozen=True)
class User:
    """The user who runs the probes, with copies of the peers' files that this user can read."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    variables: dict[str, str]
    files: tuple[str, ...]


@dataclass(frozen=True)
class ProbeEnvironment:
    """Variables, folder and user of a probe. By default they are those of this process.

    ``files`` are the certificate authority and the identity of the peers.
    """

    variables: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: str | None = None
    user: User | None = None
    files: tuple[str, ...] = FILES


def environment_for(interpreter: Interpreter, user: User | None) -> ProbeEnvironment:
    """Return what an interpreter is started with.

    A probe that runs as another user also gets few variables: other processes of that user can read
    them.
    """
    if not (interpreter.found_in or user):
        return ProbeEnvironment()
    variables = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PASSED) or name.upper() in PASSED_BY_NAME
    }
    # An empty name is the current folder too: "$PYTHONPATH:/srv/lib" where there was none before.
    path = variables.pop("PYTHONPATH", "").split(os.pathsep)
    path = [os.path.abspath(entry) for entry in path if entry not in ("", ".")]
    if path:
        variables["PYTHONPATH"] = os.pathsep.join(path)
    if interpreter.found_in:
        variables["PYTHONNOUSERSITE"] = "1"  # not the start-up files in the home of our user
    root = os.path.abspath(os.sep)
    if not user:
        return ProbeEnvironment(variables, root)
    return ProbeEnvironment({**variables, **user.variables}, root, user, user.files)


@contextlib.contextmanager
def as_user(name: str | None) -> Iterator[User | None]:
    """Yield the user to run probes as. None is the user of this process.

    Raises:
        PolicyError: there is no such user, or this process cannot become that user.
    """
    if name is None:
        yield None
        return
    if sys.platform == "win32":
        raise PolicyError("--as-user: this system cannot do that", hint="omit --as-user")
    import pwd

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise PolicyError(
            f"--as-user: there is no user {name!r}", hint="--as-user nobody", value=name
        ) from None
    if entry.pw_uid == os.geteuid():
        yield None
        return
    if os.geteuid():
        raise PolicyError(
            "--as-user: only root can start a program as another user",
            hint=f"sudo tlsfloor verify --as-user {name} TARGET",
        )
    if sys.version_info < (3, 9):
        raise PolicyError(
            "--as-user needs Python 3.9 or newer", hint="run tlsfloor verify with a newer Python"
        )
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="tlsfloor-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the user has to read it; nothing in it is secret
        files = tuple(shutil.copy(file, folder) for file in FILES)
        for file in files:
            os.chmod(file, 0o644)
        groups = tuple(os.getgrouplist(name, entry.pw_gid))
        variables = {"HOME": entry.pw_dir, "USER": name, "LOGNAME": name}
        user = User(entry.pw_uid, entry.pw_gid, groups, variables, files)
        if not _can_read(user):
            parent = os.path.dirname(folder)
            raise PolicyError(
                f"--as-user: {name} cannot read the folder for temporary files, {parent}",
                hint=f"TMPDIR=/tmp tlsfloor verify --as-user {name} TARGET",
            )
        yield user


def _can_read(user: User) -> bool:
    """Return whether a user can read the copy of the certificate authority.

    Only a process of that user knows for certain: the modes of all parent folders count, and access
    control lists.
    """
    if sys.platform == "win32":
        return False
    child = os.fork()
    if not child:
        try:
            os.setgroups(user.groups)
            os.setgid(user.gid)
            os.setuid(user.uid)
            os._exit(0 if os.access(user.files[0], os.R_OK) else 1)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0
