"""The guide "Check endpoints": a reader follows it, from top to bottom."""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

import guides
import parts
from follow import Reader, follow
from starttls_servers import running
from tlsfloor.peers import handshakes

if TYPE_CHECKING:
    from pathlib import Path

#: What a reader cannot repeat: servers that he does not have, and the clients of the last example.
MAIL_AND_DATABASE = "a mail server and a database"
EXAMPLES = ("a server with a rate limit", "a server and three clients", MAIL_AND_DATABASE)


def test_the_page_as_it_stands(tmp_path: Path) -> None:
    parts.need("certifi", "rich", "tlslite", "urllib3")
    parts.need_program("openssl")
    follow("how-to/check.md", tmp_path, ports=("8443", "8444", "8445", "9443"), skip=EXAMPLES)


def test_a_mail_server_and_a_database(tmp_path: Path) -> None:
    parts.need("certifi", "rich", "tlslite", "urllib3")
    shutil.copy(handshakes.CA_FILE, tmp_path / "ca.pem")
    with running("dovecot", "legacy") as mail, running("postgres", "modern") as database:
        with contextlib.closing(Reader(tmp_path)) as reader:
            reader.ports = {"1143": str(mail["imap"]), "6432": str(database["postgres"])}
            reader.read(
                guides.Block("console", "", guides.block("how-to/check.md", MAIL_AND_DATABASE))
            )
