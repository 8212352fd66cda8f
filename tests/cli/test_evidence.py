"""What a command prints as JSON says by itself when, where, as whom and how it was made."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
import venv
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from parts import need

from programs import clean_environment, python
from tlsfloor.cli._evidence import about_run, labels_in, without_secrets
from tlsfloor.errors import PolicyError
from tlsfloor.peers.base import CA_FILE

COMMANDS = {
    "status": ["status", "--json"],
    "stacks": ["stacks", ".", "--json"],
    "check": ["check", "127.0.0.1:1", "--json"],
    "report": ["report", os.devnull, "--json"],
    "verify": ["verify", "environment", "--hello", "--role", "client", "--json"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_report_says_when_where_and_how_it_was_made(command: str, tmp_path: Path) -> None:
    need("rich", "tlslite", "urllib3")
    # It has no packages, and those of the tests are hundreds of files to search.
    if command == "verify":
        venv.create(tmp_path / "environment", with_pip=False)
    began = time.time() - 1
    env = clean_environment(TLSFLOOR_MODE="enforce", SSL_CERT_FILE=CA_FILE, SECRET="not to be seen")
    done = python("-m", "tlsfloor", *COMMANDS[command], env=env, cwd=tmp_path)
    found: dict[str, Any] = json.loads(done.stdout)
    run = found["run"]
    assert found["tool"]["name"] == "tlsfloor"
    when = datetime.strptime(run["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert began - 1 <= when.timestamp() <= time.time()
    if hasattr(os, "uname"):
        system = os.uname()
        assert (run["host"], run["kernel"]) == (system.nodename, system.release)
        assert run["user_id"] == os.getuid()
    if hasattr(platform, "freedesktop_os_release") and os.path.exists("/etc/os-release"):
        assert run["distribution"] == platform.freedesktop_os_release()["PRETTY_NAME"]
    assert run["command"][0] == sys.executable
    assert run["command"][2:] == COMMANDS[command]
    assert os.path.samefile(run["directory"], tmp_path)
    assert run["variables"] == {"TLSFLOOR_MODE": "enforce"}
    assert "SSL_CERT_FILE" in run["other_variables"]
    assert "not to be seen" not in done.stdout
    assert CA_FILE not in json.dumps(run)


def test_a_removed_folder_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def getcwd() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", getcwd)
    assert about_run()["run"]["directory"] is None


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("postgresql://app:s3cret@db:5432/prod", "postgresql://***@db:5432/prod"),
        ("rediss://:p@ss@cache", "rediss://***@cache"),
        ("postgresql://db/prod?user=app&password=s3cret", "postgresql://db/prod?***"),
        ("https://app:s3cret@host/?q=a@b", "https://***@host/?***"),
        ("--option=https://token@host", "--option=https://***@host"),
        ("https://host/path", "https://host/path"),
        ("user@host", "user@host"),
        ("/srv/app", "/srv/app"),
    ],
)
def test_a_url_is_shown_without_its_secrets(word: str, shown: str) -> None:
    assert without_secrets(word) == shown


def test_the_command_in_the_evidence_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tlsfloor", "check", "postgresql://app:s3cret@db/prod"])
    run = about_run()["run"]
    assert run["command"] == [sys.executable, "tlsfloor", "check", "postgresql://***@db/prod"]


LABELS = {
    "owner=payments,image=shop:1.2": {"owner": "payments", "image": "shop:1.2"},
    " owner = payments , note=a%2Cb%25=c": {"owner": "payments", "note": "a,b%=c"},
    "": None,
    "owner": None,
    "owner=": None,
    "=payments": None,
    "owner=payments,": None,
    "own\ner=payments": None,
}


@pytest.mark.parametrize("text", LABELS)
def test_labels_are_names_and_values(text: str) -> None:
    expected = LABELS[text]
    environment = {"TLSFLOOR_LABELS": text}
    if expected is not None:
        assert labels_in(environment) == expected
        return
    with pytest.raises(PolicyError, match="TLSFLOOR_LABELS is not a list"):
        labels_in(environment)


def test_labels_may_come_from_opentelemetry() -> None:
    attributes = "service.namespace=payments,container.image.name=shop,k8s.pod.name=shop-1"
    otel = {"OTEL_RESOURCE_ATTRIBUTES": f"{attributes},service.name=unused"}
    named = {**otel, "OTEL_SERVICE_NAME": "checkout"}
    found = {"owner": "payments", "image": "shop", "service": "checkout"}
    assert labels_in(named) == found
    assert labels_in({**named, "TLSFLOOR_LABELS": "image=shop:2"}) == {**found, "image": "shop:2"}
    assert labels_in(otel)["service"] == "unused"
    assert labels_in({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,b"}) == {}  # as its SDKs do


def test_a_command_records_labels_or_names_the_mistake(tmp_path: Path) -> None:
    env = clean_environment(TLSFLOOR_LABELS="owner=payments", TLSFLOOR_MODE="enforce")
    done = python("-m", "tlsfloor", "status", "--json", env=env, cwd=tmp_path)
    assert json.loads(done.stdout)["run"]["labels"] == {"owner": "payments"}
    done = python("-m", "tlsfloor", "status", "--json", env={**env, "TLSFLOOR_LABELS": "payments"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: TLSFLOOR_LABELS is not a list" in done.stderr
    assert "hint: TLSFLOOR_LABELS=owner=payments,image=shop:1.2" in done.stderr
