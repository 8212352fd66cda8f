"""A Spark cluster gives the answer of the reader, also if it loses a worker, or none at all."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import damage
import parts
import spark_cluster
from events import handshake, many, write
from ports import reserved_port
from reports import ReportRun, answer
from tlsfloor.report.reader import EventFiles
from tlsfloor.report.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spark_cluster import Cluster

SUPPORT = Path(spark_cluster.__file__).parent

ANSWER = """
import json, sys
from ports import reserved_port
from reports import ReportRun, answer
from tlsfloor.report.on_spark import Spark
from tlsfloor.report.reader import EventFiles
from tlsfloor.report.tally import Tally
print(json.dumps(answer(EventFiles(Tally(), engine=Spark(sys.argv[1])), *sys.argv[2:])))
"""

COMMAND = """
import sys
from tlsfloor import cli
from tlsfloor.report import spark_driver
spark_driver.PATIENCE = 5
sys.exit(cli.main(sys.argv[1:]))
"""

# A test must end in time even if all of this machine is busy.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with spark_cluster.running(tmp_path_factory.mktemp("spark")) as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with damaged files, in which no report of a machine begins."""
    folder = tmp_path_factory.mktemp("events")
    damage.write_files(folder, 1500, 11)
    for path in folder.iterdir():
        if path.name.startswith("torn"):
            continue
        content = path.read_bytes()
        is_gzip = content[:2] == b"\x1f\x8b"
        lines = (gzip.decompress(content) if is_gzip else content).split(b"\n")
        content = b"\n".join(line for line in lines if line.strip() != b"{")
        path.write_bytes(gzip.compress(content) if is_gzip else content)
    content = b'\xef\xbb\xbf{"schema": 1}\n' + b"\n".join(damage.lines(20, 4, 0))
    (folder / "mark.jsonl").write_bytes(content)
    (folder / ".hidden.jsonl").write_bytes(b"\n".join(damage.lines(20, 3, 0)))
    return folder


def started(program: str, *words: object, **more: str) -> subprocess.Popen[str]:
    """Start a program, as a process of its own: PySpark lets Java run until its process ends."""
    path = str(SUPPORT)
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **spark_cluster.FRUGAL, "PYTHONPATH": path, **more},
    )


def printed(process: subprocess.Popen[str]) -> Any:
    out, messages = process.communicate()
    assert (process.returncode, messages) == (0, "")
    return json.loads(out)


def expected(*targets: Path) -> Any:
    return json.loads(json.dumps(answer(EventFiles(Tally()), *targets)))


def test_spark_gives_the_answer_of_the_reader(cluster: Cluster, folder: Path) -> None:
    targets = [folder, folder / "blank.jsonl", folder / "none.jsonl"]
    found = printed(started(ANSWER, cluster.master, *targets))
    assert found == expected(*targets)
    assert found["facts"]["events"] > 1000
    assert "torn.jsonl.gz" in str(found["facts"]["files"]["unreadable"])
    assert "Running task" in cluster.executor_log(0) + cluster.executor_log(1)


def test_if_a_worker_is_killed_the_answer_is_the_same(cluster: Cluster, tmp_path: Path) -> None:
    for number in range(12):
        write(tmp_path / f"{number}.jsonl", *many(500, seed=number))
    before = cluster.executor_log(1)
    query = started(ANSWER, cluster.master, tmp_path)

    def is_running() -> bool:
        assert query.poll() is None, query.communicate()
        log = cluster.executor_log(1)
        return log != before and "Running task" in log

    spark_cluster.wait_for(is_running)
    cluster.kill(2)
    assert printed(query) == expected(tmp_path)
    assert "Running task" in cluster.executor_log(0)


# --- what is wrong with the call, or with the cluster


def assert_error(run: ReportRun, *texts: str) -> None:
    """Assert that a run ended with an error and a hint, and wrote no answer."""
    assert (run.status, run.printed) == (2, "")
    error, hint = run.messages.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: ")
    for text in texts:
        assert text in run.messages


def test_what_is_no_address_of_a_master_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for master in ("", "host:7077", "http://host:7077", "spark://host", "sc://host:15002"):
        assert_error(ReportRun(capsys, "--spark", master, tmp_path), "spark://HOST:7077")


def test_without_pyspark_the_hint_installs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)
    run = ReportRun(capsys, "--spark", "local[1]", tmp_path)
    assert_error(run, "needs PySpark", "pip install 'tlsfloor[spark]'")


def test_without_java_the_hint_installs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.need("pyspark", "sqlglot")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert_error(ReportRun(capsys, "--spark", "local[1]", tmp_path), "not on PATH", "install Java")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    run = ReportRun(capsys, "--spark", "local[1]", tmp_path)
    assert_error(run, f"JAVA_HOME is {tmp_path}", "install Java")


def test_a_master_that_is_not_there_is_an_error_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts.need("pyspark", "sqlglot")
    parts.need_program("java")
    master = f"spark://127.0.0.1:{reserved_port()}"
    assert_error(ReportRun(capsys, "--spark", master, tmp_path), "cannot be reached", master[8:])


def test_a_folder_without_events_is_in_doubt_as_ever(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts.need("pyspark", "sqlglot")
    parts.need_program("java")
    run = ReportRun(capsys, "--spark", "local[1]", tmp_path)
    assert run.status == 3
    assert "no file in it ends in .jsonl or .json" in run.printed


def test_an_address_that_spark_cannot_read_is_an_error_and_no_answer(tmp_path: Path) -> None:
    parts.need("pyspark", "sqlglot")
    parts.need_program("java")
    query = started(
        COMMAND, "report", "--spark", "local[1]", "s3a://bucket/events", TMPDIR=str(tmp_path)
    )
    out, messages = query.communicate()
    assert (query.returncode, out) == (2, ""), messages
    assert messages.startswith("error: Spark has no package for this kind of address: ")
    [log] = tmp_path.glob("tlsfloor-spark-*.log")
    assert f"(log: {log})" in messages
    assert "hint: PYSPARK_SUBMIT_ARGS='--packages org.apache.hadoop:hadoop-aws" in messages
    assert len(messages.splitlines()) == 2


def test_a_cluster_without_free_workers_is_given_up(cluster: Cluster, tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", handshake())
    greedy = "--driver-memory 512m --executor-memory 90g pyspark-shell"
    query = started(
        COMMAND,
        "report",
        "--spark",
        cluster.master,
        path,
        PYSPARK_SUBMIT_ARGS=greedy,
        TMPDIR=str(tmp_path),
    )
    out, messages = query.communicate()
    assert (query.returncode, out) == (2, ""), messages
    assert messages.startswith("error: no worker of Spark has done anything for 5 seconds")
    assert "hint: see at the master whether workers have free cores and memory" in messages


def test_what_spark_reads_otherwise_at_an_address_is_a_doubt(tmp_path: Path) -> None:
    """The reader of events cannot look into an object store; ``file:`` is an address as well."""
    parts.need("pyspark", "sqlglot")
    parts.need_program("java")
    line = json.dumps(handshake()).encode() + b"\n"
    contents = {
        "fine.jsonl": line * 3,
        "a b%20.jsonl.gz": gzip.compress(line * 2),
        "text.txt": line,
        "mark.jsonl": b"\xef\xbb\xbf" + line,
        "torn.jsonl.gz": gzip.compress(line)[:-9],
        "plain.jsonl.gz": line,
        "compressed.jsonl": gzip.compress(line),
        "_hidden.jsonl": line,
        "e.jsonl.bz2": b"BZh9",
        "machine.json": b'{\n  "schema": 2\n}\n',
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    targets = [f"file://{tmp_path}", "file:///nowhere"]
    facts = printed(started(ANSWER, "local[1]", *targets))["facts"]
    assert facts["events"] == 3 + 2 + 1
    assert facts["exit_status"] == 3
    assert facts["files"]["unreadable"] == {
        "file:///nowhere": "No such file or directory",
        **{
            f"file://{tmp_path}/{name}": why
            for name, why in {
                "mark.jsonl": f"Spark read {len(line):,} of {len(line) + 3:,} bytes of it",
                "torn.jsonl.gz": "not read: it is no gzip file, or is cut short",
                "plain.jsonl.gz": "not read: it is no gzip file, or is cut short",
                "compressed.jsonl": "compressed, but its name does not end in .gz",
                "_hidden.jsonl": "Spark does not read a file of such a name",
                "e.jsonl.bz2": "Spark does not read a file of such a name",
                "machine.json": "Spark does not read reports of machines: leave --spark out",
            }.items()
        },
    }
