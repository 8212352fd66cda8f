"""``tlsfloor verify --resume``: what has not changed since an interrupted run is not done again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from parts import need
from programs import clean_environment, interrupt, python
from tlsfloor.cli.verify import resume_command
from tlsfloor.verifier import cases, find, fingerprint, judge, resume
from tlsfloor.verifier.examine import InterpreterResult
from tlsfloor.versions import TLS1_2

need("rich")

if os.name != "posix":
    pytest.skip("environments have links on POSIX", allow_module_level=True)

OPTIONS = ("--hello", "--role", "client", "--json", "--each")


def verify(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = ["-m", "tlsfloor", "verify", *OPTIONS, *words]
    return python(*command, env=env or clean_environment())


def packages_of(top: Path) -> Path:
    [packages] = top.glob("lib/python*/site-packages")
    return packages


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two environments, and the report on them, which is older than any change by a test."""
    folder = tmp_path_factory.mktemp("resume")
    for name in ("one", "two"):
        command = [sys.executable, "-m", "venv", "--without-pip", str(folder / "all" / name)]
        subprocess.run(command, check=True, timeout=60)
    time.sleep(0.2)  # what is younger than a tick when it is tried has no fingerprint
    done = verify(str(folder / "all"), "--output", str(folder / "report.json"))
    assert done.returncode in (0, 1), done.stderr
    return folder


def test_what_has_not_changed_is_taken_over_with_its_evidence(made: Path) -> None:
    before = json.loads((made / "report.json").read_text())
    assert before["finished"] is True
    done = verify(str(made / "all"), "--resume", str(made / "report.json"))
    after = json.loads(done.stdout)
    for one, two in zip(before["interpreters"], after["interpreters"]):
        assert one["earlier_run"] is None
        assert two.pop("earlier_run") == before["run"]["time"]
        assert {**two, "earlier_run": None} == one
    text = verify(str(made / "all"), "--resume", str(made / "report.json"), "--format", "text")
    assert f" (2 tried before, on {before['run']['time']}) by tlsfloor " in text.stdout


def test_with_other_variables_it_is_tried_again(made: Path) -> None:
    env = clean_environment(OPENSSL_CONF=os.devnull)
    done = verify(str(made / "all" / "one"), "--resume", str(made / "report.json"), env=env)
    [found] = json.loads(done.stdout)["interpreters"]
    assert found["earlier_run"] is None


def test_a_file_of_the_same_size_and_time_changes_the_fingerprint(
    made: Path, tmp_path: Path
) -> None:
    """Its size and time of change can be set, its ctime cannot."""
    shutil.copytree(made / "all" / "one", tmp_path / "one", symlinks=True)
    [found] = find.find_interpreters([str(tmp_path)]).interpreters
    facts = {"sys_path": [str(packages_of(tmp_path / "one"))]}
    launches = [judge.LaunchResult("isolated"), judge.LaunchResult("as started", facts=facts)]
    file = packages_of(tmp_path / "one") / "data.py"
    file.write_text("version = 1\n")
    at = file.stat()

    def now() -> str:
        return fingerprint.fingerprint(found, launches, None, float("inf"))

    first = now()
    assert first
    file.write_text("version = 2\n")
    os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert now() not in ("", first)
    # What changes while it is tried has none.
    assert fingerprint.fingerprint(found, launches, None, time.time()) == ""


def test_start_up_files_in_a_folder_that_did_not_exist_count(made: Path, tmp_path: Path) -> None:
    """The folder of the user, for example, is only then on the path."""
    found = find.find_interpreters([str(made / "all")]).interpreters[0]
    report = json.loads((made / "report.json").read_text())
    facts = report["interpreters"][0]["launches"][1]["facts"]
    assert str(packages_of(made / "all" / "one")) in facts["site_folders"]
    folder = tmp_path / "site-packages"
    facts = {"site_folders": [str(folder)]}
    launches = [judge.LaunchResult("isolated"), judge.LaunchResult("as started", facts=facts)]
    before = fingerprint.fingerprint(found, launches, None, float("inf"))
    folder.mkdir()
    assert fingerprint.fingerprint(found, launches, None, float("inf")) not in (before, "")


def test_what_the_configuration_of_openssl_includes_counts(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on RHEL, where ``update-crypto-policies`` changes only the included file."""
    found = find.find_interpreters([str(made / "all")]).interpreters[0]
    config, folder = tmp_path / "openssl.cnf", tmp_path / "more"
    policy = folder / "policy.cnf"
    folder.mkdir()
    policy.write_text("MinProtocol = TLSv1.2\n")
    started = judge.LaunchResult("as started", facts={"openssl_config_file": str(config)})

    def now() -> str:
        launches = [judge.LaunchResult("isolated"), started]
        return fingerprint.fingerprint(found, launches, None, float("inf"))

    for line in (f".include {policy}", f".include = {policy}", f"  .include={folder}\r"):
        config.write_text(f"[one]\nkey = value\n{line}\n")
        before = now()
        assert before == now() != ""
        policy.write_text(f"{policy.read_text()}MinProtocol = TLSv1\n")
        assert now() not in (before, "")
    for line in (".include policy.cnf", ".include $dir/policy.cnf", ".include /dev/zero"):
        config.write_text(f"{line}\n")
        assert now() == "", line


def edited(change: Callable[[Any], object]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        report = json.loads(text)
        change(report)
        return json.dumps(report)

    return edit


BAD = {
    "another version": (
        edited(lambda report: report["tool"].update(version="0.1")),
        "its version of tlsfloor is 0.1, and ",
    ),
    "another schema": (edited(lambda report: report.update(schema=1)), "its schema is 1, and "),
    "another host": (edited(lambda report: report["run"].update(host="far")), "its host is far, "),
    "another user": (edited(lambda report: report["run"].update(user_id=7)), "its user id is 7, "),
    "another floor": (edited(lambda report: report.update(floor="1.3")), "hint: --floor 1.3\n"),
    "other evidence": (
        edited(lambda report: report.update(evidence="handshake")),
        "its evidence is handshake, and the evidence of this run is hello\nhint: give --hello ",
    ),
    "other roles": (
        edited(lambda report: report.update(roles=["client", "server"])),
        "hint: --role both\n",
    ),
    "cut short": (lambda text: text[: len(text) // 2], "it is not JSON, or cut short\n"),
    "no JSON": (lambda text: "<xml/>", "it is not JSON, or cut short\n"),
    "no text": (lambda text: "\0", "it is not JSON, or cut short\n"),
    "nothing": (lambda text: "", "it is not JSON, or cut short\n"),
    "a list": (lambda text: "[]", "it is not what tlsfloor verify --format json writes\n"),
    "another command": (
        edited(lambda report: report.pop("interpreters")),
        "it is not what tlsfloor verify --format json writes\n",
    ),
    "another format": (
        lambda text: '{"$schema": "sarif", "runs": []}',
        "it is not what tlsfloor verify --format json writes\n",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_report_that_does_not_fit_is_a_clear_error(kind: str, made: Path, tmp_path: Path) -> None:
    change, complaint = BAD[kind]
    report = tmp_path / "report.json"
    report.write_text(change((made / "report.json").read_text()))
    done = verify(str(made / "all"), "--resume", str(report))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: --resume {report}: ")
    assert complaint in done.stderr
    assert "\nhint: " in done.stderr


def test_a_report_that_others_can_write_is_not_believed(made: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    shutil.copy(made / "report.json", report)
    report.chmod(0o666)
    done = verify(str(made / "all"), "--resume", str(report))
    assert (done.returncode, done.stdout) == (2, "")
    assert "every user may write to it, and so any verdict in it\nhint: " in done.stderr
    if os.geteuid() == 0:
        report.chmod(0o644)
        os.chown(report, 65534, 65534)
        done = verify(str(made / "all"), "--resume", str(report))
        assert (done.returncode, done.stdout) == (2, "")
        assert "it belongs to another user (user id 65534), who can write any verd" in done.stderr


@pytest.mark.parametrize("kind", ["sarif", "junit", "cyclonedx"])
def test_every_format_says_what_an_earlier_run_tried(kind: str, made: Path) -> None:
    if kind == "cyclonedx":
        pytest.importorskip("cyclonedx")
    words = ("--resume", str(made / "report.json"), "--format", kind)
    done = verify(str(made / "all"), *words)
    time = json.loads((made / "report.json").read_text())["run"]["time"]
    text = (
        '"tlsfloor:earlier_run"' if kind == "cyclonedx" else f"tried by an earlier run, of {time}"
    )
    assert done.stdout.count(text) >= 2
    assert time in done.stdout


@pytest.mark.parametrize("name", ["", "/no/such/file"])
def test_a_report_that_is_missing_is_a_clear_error(name: str, made: Path) -> None:
    done = verify(str(made / "all"), f"--resume={name}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: --resume {name}: No such file or directory\nhint:")


def test_a_report_on_other_targets_is_a_clear_error(made: Path) -> None:
    done = verify(sys.executable, "--resume", str(made / "report.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(
        ": it has none of the interpreters of this run\nhint: name the same targets\n"
    )


def drop_case(entry: Any) -> None:
    del entry["launches"][1]["cases"][0]


def refuse_all(entry: Any) -> None:
    for case in entry["launches"][1]["cases"]:
        case["outcome"] = "refused" if case["outcome"] == "accepted" else case["outcome"]


#: Entries that are not what this version writes, or whose verdict does not follow from the cases.
DAMAGED: dict[str, Callable[[Any], object]] = {
    "no launches": lambda entry: entry["launches"].clear(),
    "a missing case": drop_case,
    "an unknown case": lambda entry: entry["launches"][1]["cases"][0].update(library="other"),
    "an unknown outcome": lambda entry: entry["launches"][1]["cases"][-1].update(outcome="refuse"),
    "a case that is there twice": lambda entry: entry["launches"][1]["cases"].append(
        entry["launches"][1]["cases"][0]
    ),
    "another verdict": lambda entry: entry.update(verdict="immune"),
    "other outcomes": refuse_all,
    "another fingerprint": lambda entry: entry.update(fingerprint="0" * 64),
    "no fingerprint": lambda entry: entry.update(fingerprint=None),
    "another type": lambda entry: entry.update(launches="text"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_entry_is_not_taken_over(
    kind: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in os.environ.keys() - clean_environment().keys():
        monkeypatch.delenv(name)
    report = json.loads((made / "report.json").read_text())
    entries = {each["path"]: each for each in report["interpreters"]}
    planned = cases.plan_cases(TLS1_2, ("client",), hello=True)
    one, _ = find.find_interpreters([str(made / "all")]).interpreters

    def result() -> InterpreterResult | None:
        return resume.EarlierRun("then", entries).result_for(one, planned, TLS1_2, None)

    before = result()
    assert before is not None
    assert before.verdict.name == entries[one.path]["verdict"]
    DAMAGED[kind](entries[one.path])
    assert result() is None


@pytest.mark.parametrize(
    "words",
    [
        ["verify", "/srv", "--output", "r.json"],
        ["verify", "/srv", "--output", "r.json", "--resume", "r.json"],
        ["verify", "--resume=r.json", "/srv", "--output", "r.json"],
    ],
)
def test_a_resumed_run_that_is_interrupted_names_the_same_command(words: list[str]) -> None:
    command = "tlsfloor verify /srv --output r.json --resume r.json"
    assert resume_command(words, "r.json") == command


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_can_be_resumed(number: int, made: Path, tmp_path: Path) -> None:
    top = tmp_path / "all"
    for name in ("one", "two"):
        shutil.copytree(made / "all" / name, top / name, symlinks=True)
    started = tmp_path / "started"
    customize = packages_of(top / "two") / "sitecustomize.py"
    customize.write_text(f"import time\nopen({str(started)!r}, 'w').write('1')\ntime.sleep(600)\n")
    time.sleep(0.2)
    output = tmp_path / "report.json"
    words = [*OPTIONS, "--jobs", "1", str(top), "--output", str(output)]
    status, errors = interrupt(["verify", *words], number, started)
    assert status == 128 + number
    report = json.loads(output.read_text())
    assert (report["finished"], report["exit_status"]) == (False, report["exit_status"] or 3)
    assert report["problems"] == ["interrupted: 1 of 2 interpreters are not verified"]
    assert [each["venv"] for each in report["interpreters"]] == [str(top / "one")]
    hint = f"hint: tlsfloor verify {' '.join(words)} --resume {output}\n"
    assert errors == f"error: interrupted; 1 interpreter is in {output}\n{hint}"
    customize.unlink()
    done = python(*hint.replace("hint: tlsfloor", "-m tlsfloor").split())
    assert done.returncode in (0, 1), done.stderr
    after = json.loads(output.read_text())
    assert after["finished"] is True
    assert [each["earlier_run"] for each in after["interpreters"]] == [report["run"]["time"], None]
    (packages_of(top / "one") / "module.py").write_text("")
    done = verify(str(top), "--resume", str(output))
    last = [each["earlier_run"] for each in json.loads(done.stdout)["interpreters"]]
    assert last == [None, after["run"]["time"]]
