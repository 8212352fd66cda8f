"""Write the tables of the page on parity from its result: ``python -m benchmarks.parity_page``.

Each difference needs a reason here, and a reason without a difference is an error, too.
"""

from __future__ import annotations

import json
import shlex
from string import Template
from typing import TYPE_CHECKING, Any

from benchmarks import RESULTS
from benchmarks.parity import COMMANDS, NO, UNKNOWN, VERSIONS, YES
from benchmarks.parity_servers import KEYS, SERVERS

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = RESULTS.parent / "parity.md"
BEGIN, END = "<!-- measured -->\n", "<!-- end of measured -->"

_GIVES_UP = (
    "tlsfloor check. sslyze has no answer: it finds no cipher suite in common before the scan "
    "begins, and says so."
)

_NO_LDAP = (
    "The others. testssl.sh stops: *LDAP+STARTTLS over sockets not supported yet*. With "
    "`--ssl-native` it says that TLS 1.0 and 1.1 are not offered, because it then asks with the "
    "security level of the local OpenSSL, which does not permit them."
)

#: (server, tool) -> who is right, and why.
REASONS = {
    ("OpenSSL, anonymous only", "testssl.sh"): (
        "The others. They complete the handshake. testssl.sh offers anonymous suites with TLS 1.2 "
        "only; its list for 1.0 and 1.1 (`TLS_CIPHER`) has none."
    ),
    ("OpenSSL, no encryption below 1.3", "testssl.sh"): (
        "The others. They complete the handshake. testssl.sh offers suites without encryption "
        "with TLS 1.2 only, as above."
    ),
    ("OpenSSL, pre-shared key", "openssl s_client"): (
        "tlsfloor check. s_client offers these suites only if it has a key: with `-psk 1a2b` it "
        "completes the handshake."
    ),
    ("OpenSSL, pre-shared key", "sslyze"): _GIVES_UP,
    ("OpenSSL, brainpool curve only", "openssl s_client"): (
        "tlsfloor check. The curve is not one of those that s_client offers by default: with "
        "`-curves brainpoolP384r1` it completes the handshake."
    ),
    ("OpenSSL, brainpool curve only", "sslyze"): _GIVES_UP,
    ("OpenSSL, brainpool curve only", "testssl.sh"): (
        "tlsfloor check. testssl.sh has no answer (*connection failed rather than downgrading to "
        "TLSv1.2*). The server is started with `-tls1_2`."
    ),
    ("OpenSSL, group ffdhe8192 only", "sslyze"): _GIVES_UP,
    ("OpenSSL, group ffdhe8192 only", "testssl.sh"): (
        "tlsfloor check. testssl.sh has no answer (*unexpected results*). s_client completes the "
        "handshake."
    ),
    ("OpenSSL, 1.3 with CCM_8 only", "sslyze"): _GIVES_UP,
    ("vsftpd (ftp), legacy", "testssl.sh"): (
        "The others. testssl.sh has no answer: *likely not offered, received 4xx/5xx after "
        "STARTTLS handshake*. vsftpd's OpenSSL has no SSLv3."
    ),
    ("slapd (ldap), legacy", "testssl.sh"): _NO_LDAP,
    ("slapd (ldap), modern", "testssl.sh"): _NO_LDAP,
    ("Java, SSLv3 to 1.2", "sslyze"): (
        "tlsfloor check. tlslite-ng completes the handshake. sslyze has no answer: it reports a "
        "bug of its own (`ssl3_get_key_exchange:wrong curve`)."
    ),
}


def table(head: str, rows: list[list[str]]) -> str:
    """Return a table; ``head`` has its columns, separated by ``|``."""
    columns = head.split("|")
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def truth(result: dict[str, Any], version: str) -> str:
    """Return whether a server accepts a version."""
    return YES if version in result["accepts"] else NO


def differing(result: dict[str, Any], version: str) -> dict[str, str]:
    """Return the tools whose answer is not the truth, and their answers."""
    right = truth(result, version)
    return {
        tool: said[version]
        for tool, said in result["said"].items()
        if said.get(version, right) != right
    }


def cell(result: dict[str, Any], version: str) -> str:
    """Return what a cell of the large table shows."""
    others = ", ".join(f"{tool}: {answer}" for tool, answer in differing(result, version).items())
    return truth(result, version) + (f" ({others})" if others else "")


def differences(servers: dict[str, Any]) -> Iterator[list[str]]:
    """Yield a row for each server and tool that differ.

    Raises:
        ValueError: a difference has no reason, or a reason no difference.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name, result in servers.items():
        for version in VERSIONS:
            for tool, answer in differing(result, version).items():
                found.setdefault((name, tool), {})[version] = answer
    wrong = found.keys() ^ REASONS.keys()
    if wrong:
        raise ValueError(f"a difference without a reason, or a reason without one: {sorted(wrong)}")
    for (name, tool), answers in found.items():
        said = ", ".join(f"{version}: {answer}" for version, answer in answers.items())
        yield [name, tool, said, REASONS[name, tool]]


def counts(servers: dict[str, Any], tools: dict[str, str]) -> list[list[str]]:
    """Return a row for each tool: its version, and how many of its answers are right."""
    rows = []
    for tool, version in tools.items():
        said = [
            (answer, truth(result, each))
            for result in servers.values()
            for each, answer in result["said"].get(tool, {}).items()
        ]
        right = sum(answer == other for answer, other in said)
        none = sum(answer == UNKNOWN for answer, _ in said)
        wrong = len(said) - right - none
        rows.append([f"{tool} {version}", *map(str, (len(said), right, none, wrong))])
    return rows


def key_exchanges(servers: dict[str, Any]) -> str:
    """Return how ``check`` and sslyze agree on the kinds of key exchange."""
    same, apart = 0, []
    for name, result in servers.items():
        for version, kinds in result["key_exchanges"].items():
            if version == "1.3" or not result["suites"].get(version):
                continue
            beginnings = set(result["suites"][version])
            ours = {
                "ecdhe": bool(beginnings & {"TLS_ECDHE_RSA", "TLS_ECDHE_ECDSA"}),
                "rsa": "TLS_RSA" in beginnings,
            }
            if all((kind in kinds) == has for kind, has in ours.items()):
                same += 1
            else:
                apart.append(name)
    return (
        "For versions below 1.3, sslyze lists the cipher suites. It has the same of the usual "
        "kinds of key exchange (ECDHE, static RSA) as tlsfloor check in "
        f"{same} of {same + len(apart)} cases. In the others "
        f"({'; '.join(dict.fromkeys(apart))}) the only suite is a rare one of static RSA, which "
        "tlsfloor check calls `rare`.\n\n"
    )


def shown(command: str) -> str:
    """Return a command as the page shows it."""
    words = {"port": "PORT", "python": "python", "folder": "DIR", "version": "VERSION"}
    words.update({name: f"{name}.pem" for name in KEYS})
    words.update({name: name for name in ("openssl", "sslyze", "testssl")})
    text = shlex.join(shlex.split(Template(command).substitute(words, starttls="")))
    return f"`{text.replace('python -m tlsfloor', 'tlsfloor')}`"


def written() -> str:
    """Return the page with the tables of the result file."""
    report = json.loads((RESULTS / "parity.json").read_text("utf-8"))
    servers = report["servers"]
    tools = report["tools"]
    head = "server|" + "|".join(VERSIONS)
    cells = [[name, *(cell(result, each) for each in VERSIONS)] for name, result in servers.items()]
    proofs = []
    for name, result in servers.items():
        by: dict[str, list[str]] = {}
        for version, prover in result["proved"].items():
            by.setdefault(prover or "none", []).append(version)
        also = f" with `{SERVERS[name].also}`".replace("$rsa", "rsa.pem")
        proved = "; ".join(
            f"{', '.join(each)}: {prover}"
            + (also if prover == "OpenSSL" and SERVERS[name].also else "")
            for prover, each in by.items()
        )
        how = shown(SERVERS[name].command)
        if SERVERS[name].starttls:
            how = "`tests/support/starttls_servers.py`"
        proofs.append([name, how, proved])
    text = (
        table("tool|questions|right|no answer|wrong", counts(servers, tools))
        + table(head, cells)
        + "## Where they differ\n\n"
        + table("server|tool|it says|who is right, and why", [*differences(servers)])
        + key_exchanges(servers)
        + "## The commands\n\n"
        + table("tool|command", [[tool, shown(COMMANDS[tool])] for tool in tools])
        + f"Made on {report['date']}, on {report['system']}.\n\n"
        + "## The servers\n\n"
        + table("server|command|completed handshakes", proofs)
    )
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    return before + BEGIN + text + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(), "utf-8")
