"""Real servers that begin in plain text, from Debian: mail, FTP, LDAP, databases and XMPP.

``SERVERS`` has a row for each program. ``running(name, level)`` starts one on free ports of
loopback, in a folder of its own, and stops it. At the level *legacy* it accepts TLS 1.0 and all
that is above, at *modern* TLS 1.2 and above, and at *plain* it has no TLS: what is about TLS in its
configuration is left out. The certificate is that of the verifier's peers.

Started by root, a program runs as ``nobody``; only Postfix needs root.
"""

from __future__ import annotations

import contextlib
import glob
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Iterator

import parts
import pytest
from ports import reserved_port

from tlsfloor.peers import handshakes

#: Seconds until a server accepts connections.
TIME_LIMIT = 60

LEVELS = ("legacy", "modern", "plain")

_ABOUT_TLS = re.compile("ssl|tls|cert", re.IGNORECASE)

#: OpenSSL has TLS 1.0 at this security level only.
CIPHERS = "ALL:@SECLEVEL=0"

#: Where Debian has what is not on every user's PATH.
_PLACES = ("/usr/sbin", "/usr/lib/postfix/sbin")
_POSTGRES_PLACES = "/usr/lib/postgresql/*/bin"


@dataclass(frozen=True)
class Server:
    """A program. The values of ``_values`` replace ``<name>`` in every text.

    Args:
        protocols: what it speaks before TLS.
        command: what starts it in the foreground.
        minimum: the value of ``<minimum>`` at the levels legacy and modern.
        files: name -> content, in its folder.
        before: commands that run first.
        stop: the signal that ends it at once.
        root: whether it needs root.
        off: what its file needs to have no TLS.
    """

    protocols: tuple[str, ...]
    command: str
    minimum: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    stop: signal.Signals = signal.SIGKILL
    root: bool = False
    off: str = ""

    def without_tls(self) -> Server:
        """Return the same without what is about TLS."""
        files = {
            name: "".join(
                line for line in text.splitlines(keepends=True) if not _ABOUT_TLS.search(line)
            )
            + self.off
            for name, text in self.files.items()
        }
        words = [word for word in self.command.split() if not _ABOUT_TLS.search(word)]
        return replace(self, files=files, command=" ".join(words), minimum=("", "", ""))


_POSTFIX = """
compatibility_level = 3.6
queue_directory = <folder>/queue
data_directory = <folder>/data
maillog_file = <folder>/log
maillog_file_prefixes = /
inet_interfaces = 127.0.0.1
myhostname = localhost
alias_maps =
alias_database =
local_recipient_maps =
smtpd_tls_chain_files = <cert>
smtpd_tls_security_level = may
smtpd_tls_protocols = <minimum>
tls_medium_cipherlist = <ciphers>
"""

_POSTFIX_SERVICES = """
127.0.0.1:<port> inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
"""

_DOVECOT = """
base_dir = <folder>/run
state_dir = <folder>
log_path = /dev/stderr
default_internal_user = <user>
default_internal_group = <group>
default_login_user = <user>
protocols = imap pop3
ssl_cert = <<cert>
ssl_key = <<cert>
ssl_min_protocol = <minimum>
ssl_cipher_list = <ciphers>
service anvil {
  chroot =
}
service imap-login {
  chroot =
  inet_listener imap {
    address = 127.0.0.1
    port = <port>
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    address = 127.0.0.1
    port = <second_port>
  }
  inet_listener pop3s {
    port = 0
  }
}
passdb {
  driver = static
}
"""

_VSFTPD = """
listen=YES
listen_address=127.0.0.1
listen_port=<port>
background=NO
run_as_launching_user=YES
anonymous_enable=NO
local_enable=YES
ssl_enable=YES
rsa_cert_file=<cert>
rsa_private_key_file=<cert>
ssl_ciphers=<minimum>
"""

_SLAPD = """
TLSCertificateFile <cert>
TLSCertificateKeyFile <cert>
TLSCipherSuite NORMAL:-VERS-ALL:<minimum>
"""

_POSTGRES = """
ssl = on
ssl_cert_file = '<cert>'
ssl_key_file = '<cert>'
ssl_min_protocol_version = '<minimum>'
ssl_ciphers = '<ciphers>'
listen_addresses = '127.0.0.1'
port = <port>
unix_socket_directories = ''
fsync = off
"""

_PROSODY = """
pidfile = "<folder>/pid"
data_path = "<folder>"
log = { { levels = { min = "info" }, to = "console" } }
interfaces = { "127.0.0.1" }
c2s_ports = { <port> }
s2s_ports = { <second_port> }
modules_enabled = { "tls", "saslauth" }
ssl = { certificate = "<cert>", key = "<cert>", protocol = "<minimum>", ciphers = "<ciphers>" }
VirtualHost "localhost"
"""

SERVERS = {
    "postfix": Server(
        ("smtp",),
        "master -c <folder> -d",
        (">=TLSv1", ">=TLSv1.2"),
        {"main.cf": _POSTFIX, "master.cf": _POSTFIX_SERVICES},
        (
            "chmod 755 <folder>",
            "install -d <folder>/queue/pid",
            "install -d -o postfix <folder>/data <folder>/queue/private <folder>/queue/public",
        ),
        root=True,
    ),
    "dovecot": Server(
        ("imap", "pop3"),
        "dovecot -F -c <folder>/conf",
        ("TLSv1", "TLSv1.2"),
        {"conf": _DOVECOT},
        off="ssl = no\n",
    ),
    # It has no setting for a minimum: the suites of this list are those of TLS 1.2 alone.
    "vsftpd": Server(
        ("ftp",),
        "vsftpd <folder>/conf",
        (CIPHERS, "ECDHE+AESGCM"),
        {"conf": _VSFTPD},
    ),
    # With GnuTLS.
    "slapd": Server(
        ("ldap",),
        "slapd -d 0 -f <folder>/conf -h ldap://127.0.0.1:<port>",
        (
            "+VERS-TLS1.0:+VERS-TLS1.1:+VERS-TLS1.2:+VERS-TLS1.3",
            "+VERS-TLS1.2:+VERS-TLS1.3",
        ),
        {"conf": _SLAPD},
    ),
    "postgres": Server(
        ("postgres",),
        "postgres -D <folder>/data -c config_file=<folder>/conf",
        ("TLSv1", "TLSv1.2"),
        {"conf": _POSTGRES},
        ("initdb --no-sync --auth=trust --username=floor <folder>/data",),
        stop=signal.SIGQUIT,  # it removes its shared memory
    ),
    "mariadbd": Server(
        ("mysql",),
        "mariadbd --no-defaults --datadir=<folder>/data --tmpdir=<folder>/data --skip-grant-tables"
        " --bind-address=127.0.0.1 --port=<port>"
        " --socket=<folder>/socket --ssl-cert=<cert> --ssl-key=<cert>"
        " --ssl-cipher=<ciphers> --tls-version=<minimum>",
        ("TLSv1.0,TLSv1.1,TLSv1.2,TLSv1.3", "TLSv1.2,TLSv1.3"),
    ),
    "prosody": Server(
        ("xmpp", "xmpp-server"),
        "prosody -F --config <folder>/conf.lua",
        ("tlsv1+", "tlsv1_2+"),
        {"conf.lua": _PROSODY},
    ),
}


@contextlib.contextmanager
def running(name: str, level: str) -> Iterator[dict[str, int]]:
    """Run a server; yield the port of each protocol that it speaks."""
    server = SERVERS[name] if level != "plain" else SERVERS[name].without_tls()
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if server.root and not is_root:
        pytest.skip(f"{name} needs root")
    with tempfile.TemporaryDirectory(prefix=name) as folder, contextlib.ExitStack() as stack:
        ports = [reserved_port(), reserved_port()]
        values = _values(server, level, folder, ports)
        as_user = [] if server.root or not is_root else _as_nobody(folder)
        log = stack.enter_context(open(f"{folder}/log", "w+b"))
        for text in server.before:
            subprocess.run(
                [*as_user, *_command(text, values)], stdout=log, stderr=log, check=True, cwd=folder
            )
        process = subprocess.Popen(
            [*as_user, *_command(server.command, values)],
            stdin=log,  # vsftpd reports its errors there
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
        stack.callback(_stop, process, server.stop)
        for port in ports[: len(server.protocols)]:
            _wait_for(port, process, f"{folder}/log")
        yield dict(zip(server.protocols, ports))


def _values(server: Server, level: str, folder: str, ports: list[int]) -> dict[str, str]:
    """Write the files of a server; return what replaces the names in its texts."""
    cert = shutil.copy(handshakes.PEER_FILE, folder)
    os.chmod(cert, 0o600)  # PostgreSQL demands it of a key
    os.mkdir(f"{folder}/data")
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    values = {
        "folder": folder,
        "port": str(ports[0]),
        "second_port": str(ports[1]),
        "cert": str(cert),
        "ciphers": CIPHERS,
        "minimum": server.minimum[LEVELS.index(level)],
        "user": user,
        "group": grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name,
    }
    for name, content in server.files.items():
        Path(folder, name).write_text(_filled(content, values))
        os.utime(Path(folder, name), (0, 0))  # Postfix waits until a new file is a second old
    return values


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"<{name}>", value)
    return text


def _command(text: str, values: dict[str, str]) -> list[str]:
    program, *arguments = _filled(text, values).split()
    path = os.pathsep.join([os.environ.get("PATH", ""), *_PLACES, *glob.glob(_POSTGRES_PLACES)])
    found = shutil.which(program, path=path)
    return [found or parts.need_program(program), *arguments]


def _as_nobody(folder: str) -> list[str]:
    """Give the folder to ``nobody``; return what begins a command that runs as that user."""
    for place in (folder, *(os.path.join(folder, name) for name in os.listdir(folder))):
        shutil.chown(place, "nobody", "nogroup")
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def _wait_for(port: int, process: subprocess.Popen[bytes], log: str) -> None:
    end = time.monotonic() + TIME_LIMIT
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"no server at port {port}:\n{Path(log).read_text(errors='replace')}")


def _stop(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """End a server and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
