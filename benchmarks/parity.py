"""Ask four tools which TLS versions servers accept: ``python -m benchmarks.parity [NAME...]``.

Each server (``parity_servers``) runs on loopback while every tool asks it. What a server accepts by
its configuration is known; each version that it accepts is proved by a handshake. The result is a
file of JSON, from which ``python -m benchmarks.parity_page`` writes the page.

sslyze needs its own environment, because it pins the versions of other packages:

    python3 -m venv sslyze && sslyze/bin/pip install sslyze
    python -m benchmarks.parity --sslyze sslyze/bin/sslyze
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from importlib import import_module
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from benchmarks import RESULTS
from benchmarks.parity_servers import KEYS, SERVERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from benchmarks.parity_servers import Server

    Answers = dict[str, str]

VERSIONS = ("SSLv3", "1.0", "1.1", "1.2", "1.3")

#: Seconds until a server has to listen, and for a tool.
START, LIMIT = 60, 300

_TESTS = Path(__file__).parent.parent / "tests" / "support"
_PORTS = itertools.count(random.randrange(20_000, 30_000))

YES, NO, UNKNOWN = "yes", "no", "?"

#: sslyze does not know MySQL's protocol.
UNKNOWN_PROTOCOL = ("sslyze", "mysql")

#: Tool -> its command. ``$version`` is an option of s_client, which asks for one version at a time.
COMMANDS = {
    "tlsfloor check": "$python -m tlsfloor check localhost:$port $starttls --json",
    "openssl s_client": (
        "$openssl s_client -connect localhost:$port -servername localhost $version $starttls "
        "-cipher ALL:COMPLEMENTOFALL:@SECLEVEL=0 -ciphersuites "
        "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
        "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"
    ),
    "sslyze": (
        "$sslyze --sslv3 --tlsv1 --tlsv1_1 --tlsv1_2 --tlsv1_3 $starttls "
        "--json_out=$folder/sslyze.json localhost:$port"
    ),
    "testssl.sh": (
        "$testssl --protocols --quiet --color 0 --warnings off --ip 127.0.0.1 "
        "--jsonfile $folder/testssl.json $starttls localhost:$port"
    ),
}

#: Version -> the option of ``openssl s_client``. Debian's OpenSSL has no SSLv3.
_S_CLIENT = {"1.0": "-tls1", "1.1": "-tls1_1", "1.2": "-tls1_2", "1.3": "-tls1_3"}


def run(command: str, words: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command with its words replaced, and return what it did."""
    return subprocess.run(
        shlex.split(Template(command).safe_substitute(words)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LIMIT,
        check=False,
    )


def ask_check(words: Mapping[str, str]) -> tuple[Answers, dict[str, Any]]:
    """Return the answers of ``tlsfloor check``, and its attempts."""
    done = run(COMMANDS["tlsfloor check"], words)
    (endpoint,) = json.loads(done.stdout)["endpoints"]
    answers = {}
    for version in VERSIONS:
        name = version if version == "SSLv3" else f"TLS {version}"
        outcomes = {each["outcome"] for each in endpoint["attempts"] if each["version"] == name}
        answers[version] = (
            YES if "accepted" in outcomes else NO if outcomes == {"refused"} else UNKNOWN
        )
    return answers, endpoint


def ask_s_client(words: Mapping[str, str], also: str = "") -> tuple[Answers, dict[str, bool]]:
    """Return the answers of ``openssl s_client``, and which handshakes were completed."""
    answers, completed = {}, {}
    for version, option in _S_CLIENT.items():
        command = f"{COMMANDS['openssl s_client']} {also}"
        done = run(command, {**words, "version": option})
        chosen = re.search(r"^New, .*, Cipher is (\S+)$", done.stdout, re.MULTILINE)
        agreed = bool(chosen and chosen.group(1) != "(NONE)")
        refused = "CONNECTED" in done.stdout
        answers[version] = YES if agreed else NO if refused else UNKNOWN
        completed[version] = agreed and done.returncode == 0
    return answers, completed


def ask_sslyze(words: Mapping[str, str]) -> tuple[Answers, dict[str, list[str]]]:
    """Return the answers of sslyze, and how the names of the suites that it lists begin."""
    run(COMMANDS["sslyze"], words)
    report = json.loads(Path(words["folder"], "sslyze.json").read_text("utf-8"))
    (found,) = report["server_scan_results"]
    answers, kinds = dict.fromkeys(VERSIONS, UNKNOWN), {}
    for version in VERSIONS if found["scan_result"] else ():
        name = "ssl_3_0" if version == "SSLv3" else f"tls_{version.replace('.', '_')}"
        scan = found["scan_result"][f"{name}_cipher_suites"]
        if scan["status"] == "COMPLETED":
            accepted = scan["result"]["accepted_cipher_suites"]
            answers[version] = YES if scan["result"]["is_tls_version_supported"] else NO
            names = (each["cipher_suite"]["name"] for each in accepted)
            kinds[version] = sorted({name.split("_WITH_")[0] for name in names})
    return answers, kinds


def ask_testssl(words: Mapping[str, str]) -> tuple[Answers, dict[str, str]]:
    """Return the answers of testssl.sh, and its own words."""
    run(COMMANDS["testssl.sh"], words)
    try:
        found = json.loads(Path(words["folder"], "testssl.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError):  # it gives up, and may leave half a file
        found = []
    said = {each["id"]: each["finding"] for each in found}
    answers, findings = {}, {}
    for version in VERSIONS:
        name = version if version == "SSLv3" else f"TLS{version.replace('.', '_')}"
        finding = findings[version] = said.get(name.replace("_0", ""), "")
        answers[version] = (
            YES if finding.startswith("offered") else NO if "not offered" in finding else UNKNOWN
        )
    return answers, findings


ASK: Mapping[str, Callable[..., tuple[Answers, Any]]] = {
    "tlsfloor check": ask_check,
    "openssl s_client": ask_s_client,
    "sslyze": ask_sslyze,
    "testssl.sh": ask_testssl,
}


def make_certificates(folder: str, openssl: str) -> dict[str, str]:
    """Create a certificate for localhost with each kind of key; return name and file of each."""
    made = {}
    for name, how in KEYS.items():
        file = made[name] = f"{folder}/{name}.pem"
        words = {"file": file, "openssl": openssl}
        request = "-days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        export = "-passout pass:secret -in $file.crt -inkey $file.key -out $file.p12"
        for command in (
            f"$openssl genpkey {how} -out $file.key",
            f"$openssl req -x509 -new -key $file.key -out $file.crt {request}",
            f"$openssl pkcs12 -export {export}",
        ):
            run(command, words).check_returncode()
        parts = (Path(f"{file}.{part}").read_text("ascii") for part in ("key", "crt"))
        Path(file).write_text("".join(parts), "ascii")
    return made


def free_port() -> int:
    """Return a port below those that systems give to programs that ask for any."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError


@contextlib.contextmanager
def started(server: Server, words: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Run a server, and yield the words of a command, with its port."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        option = f"--starttls {server.starttls}" if server.starttls else ""
        known = {**words, "folder": folder, "starttls": option}
        if server.starttls:
            sys.path.insert(0, str(_TESTS))
            running = import_module("starttls_servers").running
            ports = stack.enter_context(running(*server.command.split()))
            yield {**known, "port": str(ports[server.starttls])}
            return
        known["port"] = str(free_port())
        for name, text in server.files:
            Path(folder, name).write_text(Template(text).safe_substitute(known), "utf-8")
        log = stack.enter_context(open(f"{folder}/output", "w+", encoding="utf-8"))
        process = subprocess.Popen(
            shlex.split(Template(server.command).safe_substitute(known)),
            stdin=subprocess.PIPE,  # some end when it does
            stdout=log,
            stderr=log,
        )
        stack.callback(_stop, process)
        end = time.monotonic() + START
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(known["port"])), 1).close()
                if process.poll() is None:  # or another program has the port
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise RuntimeError(f"{server.name} does not listen: {log.read()}") from None
            time.sleep(0.05)
        yield known


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdin is not None
    process.stdin.close()


def examine(server: Server, tools: list[str], words: Mapping[str, str]) -> dict[str, Any]:
    """Start a server, let every tool ask it, and prove by handshakes what it accepts."""
    said, more = {}, {}
    with started(server, words) as known:
        for tool in tools:
            if (tool, server.starttls) != UNKNOWN_PROTOCOL:
                said[tool], more[tool] = ASK[tool](known)
        proved = dict.fromkeys(server.accepts.split(), "")
        for attempt in more["tlsfloor check"]["attempts"]:
            if attempt["handshake"] == "completed":
                proved[attempt["version"].replace("TLS ", "")] = "tlslite-ng"
        if not all(proved.values()):
            _, completed = ask_s_client(known, server.also)
            for version in [each for each, by in proved.items() if not by]:
                proved[version] = "OpenSSL" if completed.get(version) else ""
    found: dict[str, list[str]] = {}
    for attempt in more["tlsfloor check"]["attempts"]:
        if attempt["outcome"] == "accepted":
            version = attempt["version"].replace("TLS ", "")
            found.setdefault(version, []).append(attempt["key_exchange"])
    print(server.name, *(f"{tool}: {answers}" for tool, answers in said.items()), sep="\n  ")
    return {
        "accepts": server.accepts.split(),
        "proved": proved,
        "said": said,
        "key_exchanges": found,
        "suites": more.get("sslyze", {}),
        "findings": more.get("testssl.sh", {}),
    }


def versions_of(tools: list[str], words: Mapping[str, str]) -> dict[str, str]:
    """Return the version of each tool."""
    ask = {
        "tlsfloor check": ("$python -m tlsfloor --version", r"\d\S*"),
        "openssl s_client": ("$openssl version", r"\d\S*"),
        "sslyze": ("$sslyze --help", r"(?<=SSLyze version )\S+"),
        "testssl.sh": ("$testssl --version", r"(?<=testssl) +\S+"),
    }
    found = {}
    for tool in tools:
        command, pattern = ask[tool]
        match = re.search(pattern, run(command, words).stdout)
        found[tool] = match.group().strip() if match else ""
    return found


def main() -> int:
    """Examine the servers that the command line names, by default all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("names", nargs="*", metavar="NAME", help="a server (default: all)")
    parser.add_argument("--tool", action="append", choices=[*ASK], help="default: all four")
    for program in ("openssl", "sslyze", "testssl"):
        parser.add_argument(f"--{program}", metavar="PATH", default=program)
    parser.add_argument("--into", type=Path, default=RESULTS, help="write to this folder")
    parser.add_argument("--jobs", type=int, default=2, help="servers at a time (default: 2)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - SERVERS.keys()
    if unknown:
        parser.error(f"no such server: {', '.join(sorted(unknown))}")
    servers = [SERVERS[name] for name in arguments.names or SERVERS]
    tools = list(dict.fromkeys(["tlsfloor check", *(arguments.tool or ASK)]))
    words = {"python": sys.executable}
    words.update({name: getattr(arguments, name) for name in ("openssl", "sslyze", "testssl")})
    commands = {
        *(server.command for server in servers if not server.starttls),
        *(COMMANDS[tool] for tool in tools),
    }
    os.environ["PATH"] += os.pathsep + "/usr/sbin"  # Debian has servers there
    programs = {Template(command.split()[0]).substitute(words) for command in commands}
    missing = sorted(program for program in programs if not shutil.which(program))
    if missing:
        parser.error(f"not found: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        words.update(make_certificates(folder, arguments.openssl))
        results = [*pool.map(partial(examine, tools=tools, words=words), servers)]
    arguments.into.mkdir(parents=True, exist_ok=True)
    report = {
        "date": date.today().isoformat(),  # noqa: DTZ011 - the day where it was made
        "system": platform.platform(),
        "tools": versions_of(tools, words),
        "servers": {server.name: result for server, result in zip(servers, results)},
    }
    file = arguments.into / "parity.json"
    file.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
