"""What an interpreter under test gets of the process that starts it: variables, folder, user.

One that the user named is started as a program would be here. One that was found below a folder is
somebody's, and to verify it runs it, with its start-up files: it gets what decides how Python and
TLS start, and none of the other variables, any of which may be a secret.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass

from tlsfloor.errors import PolicyError
from tlsfloor.peers.base import CA_FILE, PEER_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tlsfloor.verifier.find import Interpreter

#: How the variables begin that decide how Python, the loader of libraries and TLS start.
PASSED = ("PYTHON", "PYPY", "TLSFLOOR", "OPENSSL_", "SSL_CERT_", "LD_", "DYLD_", "LC_")

#: One more of these, and those that any program may need to start at all.
PASSED_BY_NAME = frozenset(
    {
        *("TLS_MIN_VERSION", "HOME", "LOGNAME", "USER", "PATH", "SYSTEMROOT"),
        *("LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP"),
    }
)


@dataclass(frozen=True)
class User:
    """Whom probes run as: ids, the variables that name them, and files that they can read."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    variables: dict[str, str]
    ca: str
    identity: str


@dataclass(frozen=True)
class Surroundings:
    """How a probe is started: its environment, its current folder (None: ours) and its user."""

    env: dict[str, str]
    folder: str | None = None
    user: User | None = None

    @property
    def files(self) -> tuple[str, str]:
        """The authority and the identity of the peers, where the probe can read them."""
        return (self.user.ca, self.user.identity) if self.user else (CA_FILE, PEER_FILE)


def of(interpreter: Interpreter, user: User | None) -> Surroundings:
    """Return what an interpreter is started with.

    Nobody else's process gets our variables either, so those for another user are few as well.

    .. versionadded:: 0.2
    """
    if not (interpreter.below or user):
        return Surroundings(dict(os.environ))
    env = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PASSED) or name.upper() in PASSED_BY_NAME
    }
    # An empty name is the current folder, too: "$PYTHONPATH:/srv/lib" where there was none before.
    path = [each for each in env.pop("PYTHONPATH", "").split(os.pathsep) if each not in ("", ".")]
    if path:
        env["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path))
    if interpreter.below:
        env["PYTHONNOUSERSITE"] = "1"  # its own start-up files, and not those of our user
    env.update(user.variables if user else {})
    return Surroundings(env, os.path.abspath(os.sep), user)


@contextlib.contextmanager
def as_user(name: str | None) -> Iterator[User | None]:
    """Yield another user to run probes as, None for ours: with no name, or the name of our user.

    Raises:
        PolicyError: there is none of that name, or this process may not become another one.

    .. versionadded:: 0.2
    """
    if name is None:
        yield None
        return
    try:
        import pwd
    except ImportError:  # Windows
        raise PolicyError("--as-user: this system cannot do that", hint="omit it") from None
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise PolicyError(
            f"--as-user: there is no user {name!r}", hint="--as-user nobody", value=name
        ) from None
    if found.pw_uid == os.geteuid():
        yield None
        return
    if os.geteuid():
        raise PolicyError(
            "--as-user: only root can start a program as another user",
            hint=f"sudo tlsfloor verify --as-user {name} TARGET",
        )
    if sys.version_info < (3, 9):
        raise PolicyError(
            "--as-user needs Python 3.9 or newer", hint="run tlsfloor verify by a newer one"
        )
    parent = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(prefix="tlsfloor-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the user must read it, and nothing in it is secret
        files = [shutil.copy(each, folder) for each in (CA_FILE, PEER_FILE)]
        for each in files:
            os.chmod(each, 0o644)
        groups = tuple(os.getgrouplist(name, found.pw_gid))
        variables = {"HOME": found.pw_dir, "USER": name, "LOGNAME": name}
        user = User(found.pw_uid, found.pw_gid, groups, variables, *files)
        if not _can_read(user):
            raise PolicyError(
                f"--as-user: {name} cannot read the folder for temporary files, {parent}",
                hint=f"TMPDIR=/tmp tlsfloor verify --as-user {name} TARGET",
            )
        yield user


def _can_read(user: User) -> bool:
    """Return whether a user can read the certificate authority that was copied for the probe.

    Only a process of that user knows this for certain: modes of all parent folders count, and
    access control lists.
    """
    child = os.fork()
    if not child:
        try:
            os.setgroups(user.groups)
            os.setgid(user.gid)
            os.setuid(user.uid)
            os._exit(0 if os.access(user.ca, os.R_OK) else 1)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0
