"""``docs/how-to/fleet.md``: the page, followed; and the recipes that it links.

Each recipe is validated by its schema or linter. Its commands are run with a Python that accepts
less than TLS 1.2, with which it must fail, and with one that has a floor. Where verify cannot run,
each recipe fails and leaves no report, although there is one of an earlier run.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

import docker_stand_in
import guides
import outputs
import parts
import s3_server
from follow import follow
from kubernetes_files import check, environment, here
from programs import TESTS, TIME_LIMIT, clean_environment

PAGE = "how-to/fleet.md"
FLEET = guides.DOCS / "how-to" / "fleet"

#: What a recipe is tried with -> the exit status of ``verify``.
PYTHONS = {"permits": 1, "enforced": 0}

#: The packages of the archive, apart from rich, without which there is JSON too.
PACKAGES = ("tlsfloor", "tlslite", "ecdsa", "six", "certifi", "urllib3")

LABELS = {"owner": "payments", "image": "shop:1"}

#: How ``python3`` fails -> what a program of that name does. All that are real end with 1.
BROKEN = {
    **{"too-old": f'exec {each} "$@"' for each in parts.old_pythons()[-1:]},
    "cannot-start": f'PYTHONHOME=/nowhere exec {sys.executable} "$@"',
    "missing": "exec /nowhere/python3",
    "silent": "exit 3",
}

#: Where the report of an earlier run was: nothing in it is true now.
OLD = '{"old": true}'


@pytest.mark.timeout(600)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    parts.need("dockerfile", since=(3, 9))
    parts.need("ansible", since=(3, 11))
    follow(
        PAGE,
        tmp_path,
        skip=["on a cluster", "in an AWS account", "with your own hosts"],
        programs=docker_stand_in.install(tmp_path / "programs"),
    )


# What the recipes are run with.


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's archive, with packages of this environment, so that none is downloaded."""
    folder = tmp_path_factory.mktemp("archive")
    judge = folder / "tlsfloor-verify"
    judge.mkdir()
    for name in PACKAGES:
        _copy(name, judge)
    (judge / "__main__.py").write_text(guides.block(PAGE, "file: __main__.py"))
    with tarfile.open(folder / "tlsfloor-verify.tar.gz", "w:gz", compresslevel=1) as tar:
        tar.add(judge, judge.name)
    return folder / "tlsfloor-verify.tar.gz"


def _copy(name: str, folder: Path) -> None:
    """Copy a package of this environment into a folder."""
    parts.need(name)
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin)
    if file.name == "__init__.py":
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(file.parent, folder / name, ignore=without)
    else:
        shutil.copy(file, folder)


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with the names of ``PYTHONS``, in each a virtual environment ``.venv``."""
    folder = tmp_path_factory.mktemp("projects")
    for name in PYTHONS:
        venv = folder / name / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    [packages] = venv.glob("lib/python*/site-packages")
    _copy("tlsfloor", packages)
    install = [f"{venv}/bin/python", "-m", "tlsfloor", "install", "--floor", "1.2"]
    subprocess.run(install, check=True, capture_output=True, env=clean_environment())
    return folder


def read(name: str) -> dict[str, Any]:
    """Return a recipe in YAML."""
    parts.need("yaml")
    import yaml

    found: dict[str, Any] = yaml.safe_load((FLEET / name).read_text("utf-8"))
    return found


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which ``python3`` cannot run verify."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "python3").write_text(f"#!/bin/sh\n{BROKEN[request.param]}\n")
    (folder / "python3").chmod(0o755)
    return os.pathsep.join([str(folder), os.path.dirname(sys.executable), os.environ["PATH"]])


def run(command: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the commands of a recipe, which find this Python as ``python3``.

    Hellos are tried in place of handshakes, which take longer, and of which the page has some.
    """
    quicker = [
        word.replace(" verify --floor", " verify --hello --role client --floor") for word in command
    ]
    assert quicker != command
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    return subprocess.run(
        quicker,
        cwd=folder,
        env=clean_environment(PATH=env.pop("PATH", path), **env),
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
    )


def validate(name: str, found: object) -> None:
    """Validate by the schema of the JSON Schema Store that check-jsonschema brings."""
    parts.need("check_jsonschema", since=(3, 10))
    import jsonschema
    from check_jsonschema.builtin_schemas import get_builtin_schema

    known = get_builtin_schema(f"vendor.{name}")
    jsonschema.validators.validator_for(known)(known).validate(found)


def check_report(text: str, python: str) -> dict[str, str]:
    """Check that a text is the report on that Python, and no other text; return the labels."""
    report = json.loads(text)
    outputs.validate_json("verify", report)
    [interpreter] = report["interpreters"]
    assert (report["exit_status"], interpreter["flagged"]) == (PYTHONS[python], PYTHONS[python])
    labels: dict[str, str] = report["run"]["labels"]
    return labels


def test_the_archive_runs_on_an_older_python(archive: Path, projects: Path) -> None:
    # The oldest from 3.8 on that this machine has in addition to this one.
    command = [parts.pythons()[:2][-1], str(archive.parent / "tlsfloor-verify")]
    words = ["verify", "--hello", "--role", "client", "--json", str(projects / "permits")]
    done = subprocess.run(
        [*command, *words], env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert check_report(done.stdout, "permits") == {}


@pytest.mark.parametrize("executable", parts.old_pythons())
def test_the_archive_tells_an_older_python_what_it_needs(archive: Path, executable: str) -> None:
    done = _start(archive.parent / "tlsfloor-verify", executable)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("error: tlsfloor needs Python 3.8 or newer, and ")


@pytest.mark.parametrize(
    "file", ["cli/__init__.py", "cli/verify.py", "verifier", "../tlslite/constants.py"]
)
@pytest.mark.parametrize("damage", ["gone", "cut off"])
def test_a_damaged_archive_has_no_answer(
    archive: Path, tmp_path: Path, file: str, damage: str
) -> None:
    judge = tmp_path / "tlsfloor-verify"
    shutil.copytree(archive.parent / judge.name, judge)
    part = judge / "tlsfloor" / file
    if damage == "gone":
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    else:
        part = part / "__init__.py" if part.is_dir() else part
        part.write_text(part.read_text("utf-8")[:40] + "\n(", "utf-8")
    done = _start(judge, sys.executable)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert "error: " in done.stderr


def _start(judge: Path, executable: str) -> subprocess.CompletedProcess[str]:
    words = [executable, str(judge), "verify", "--role", "client", "--json", sys.executable]
    return subprocess.run(words, env=clean_environment(), capture_output=True, text=True)


def test_every_recipe_is_linked() -> None:
    linked = re.findall(r"\]\((fleet/[^)#]+)\)", (guides.DOCS / PAGE).read_text("utf-8"))
    files = [each for each in FLEET.rglob("*") if each.is_file()]
    role = FLEET / "ansible" / "roles"
    alone = {f"fleet/{each.relative_to(FLEET)}" for each in files if role not in each.parents}
    assert alone <= set(linked)
    assert all((FLEET.parent / link).is_file() for link in linked)


# Ansible. The page runs the role for a Python that accepts less.


@pytest.mark.timeout(300)
def test_the_role_passes_the_strictest_profile_of_the_linter(tmp_path: Path) -> None:
    parts.need("ansiblelint", since=(3, 11))
    shutil.copytree(FLEET / "ansible", tmp_path / "ansible")
    lint = [f"{os.path.dirname(sys.executable)}/ansible-lint", "--profile", "production"]
    done = _ansible([*lint, "--offline", "--nocolor", "."], tmp_path / "ansible", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "profile 'production' was required, and it passed" in (done.stdout + done.stderr).lower()


@pytest.mark.timeout(300)
def test_the_role_fails_only_where_it_should(archive: Path, projects: Path, tmp_path: Path) -> None:
    parts.need("ansible", since=(3, 11))
    # These two may be below the floor, but verify does not run there: it ends with 1 and with 3.
    broken = ("cannot-start", "silent")
    inventory = {
        name: {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "tlsfloor_verify_folder": str(tmp_path / name),
            "tlsfloor_verify_targets": [str(projects / name)],
            "tlsfloor_verify_labels": "owner=payments,image=shop:1",
            "tlsfloor_verify_fail": name in PYTHONS,
        }
        for name in (*PYTHONS, *broken)
    }
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": inventory}}))
    for name in inventory:
        for folder, file in ((name, "tlsfloor-verify"), ("reports", name)):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{file}.json").write_text(OLD)
    # Ansible itself needs its Python, so it is replaced only where the role starts verify.
    nice = tmp_path / "programs" / "nice"
    nice.parent.mkdir()
    lines = [f"*/{name}/tlsfloor-verify) shift; {BROKEN[name]} ;;" for name in broken]
    nice.write_text("\n".join(["#!/bin/sh", 'case "$2" in', *lines, "esac", 'exec "$@"', ""]))
    nice.chmod(0o755)
    given = {
        "tlsfloor_verify_archive": str(archive),
        "tlsfloor_verify_reports": str(tmp_path / "reports"),
        "tlsfloor_verify_options": ["--hello"],
    }
    playbook = f"{os.path.dirname(sys.executable)}/ansible-playbook"
    command = [playbook, "--inventory", str(tmp_path / "hosts.json"), "verify.yml"]
    command += ["--extra-vars", json.dumps(given)]
    path = f"{nice.parent}:{os.environ['PATH']}"
    done = _ansible(command, FLEET / "ansible", tmp_path, PATH=path)
    recap = dict(re.findall(r"^([\w-]+) +: .* failed=(\d)", done.stdout, re.M))
    assert recap == {"permits": "1", "enforced": "0", **dict.fromkeys(broken, "1")}, done.stdout
    assert "verify said: Python path configuration" in done.stdout
    reports = {each.stem: each.read_text() for each in (tmp_path / "reports").iterdir()}
    assert reports.keys() == PYTHONS.keys()
    for name, report in reports.items():
        assert check_report(report, name) == {**LABELS, "host": name}
    # A second run changes nothing on the hosts, and a run that only checks changes no report.
    limit = ["--check", "--limit", ":".join(PYTHONS)]
    done = _ansible([*command, *limit], FLEET / "ansible", tmp_path)
    assert done.stdout.count("changed=0 ") == len(PYTHONS), done.stdout
    assert {e.stem: e.read_text() for e in (tmp_path / "reports").iterdir()} == reports


def _ansible(
    command: list[str], folder: Path, home: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    env = clean_environment(HOME=str(home), LANG="C.UTF-8", ANSIBLE_NOCOLOR="1", **more)
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=TIME_LIMIT
    )


# Kubernetes.


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", ["job", "daemonset"])
def test_a_pod_reports_on_its_python(
    archive: Path, projects: Path, tmp_path: Path, name: str, python: str
) -> None:
    check(read(f"kubernetes/{name}.yaml"))
    done = _run_pod(archive, f"{projects / python}/.venv", tmp_path, name)
    # A pod of a DaemonSet would start again.
    assert done.returncode == (PYTHONS[python] if name == "job" else 0), done
    assert done.stderr == ""
    owner = {"job": "payments", "daemonset": "platform"}[name]
    assert check_report(done.stdout, python)["owner"] == owner


@pytest.mark.parametrize("name", ["job", "daemonset"])
def test_a_pod_fails_where_verify_did_not_run(
    archive: Path, tmp_path: Path, name: str, broken: str
) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "report.json").write_text(OLD)
    done = _run_pod(archive, "/nowhere", tmp_path, name, broken)
    assert done.returncode != 0
    assert done.stdout == ""


def _run_pod(
    archive: Path, target: str, folder: Path, name: str, path: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the containers of a pod that verifies a target."""
    pod = read(f"kubernetes/{name}.yaml")["spec"]["template"]["spec"]
    bring, *others = [*pod["initContainers"], *pod["containers"]]
    [verify] = [each for each in others if each["name"] == "verify"]
    volume, programs = folder / "volume", folder / "programs"
    volume.mkdir(exist_ok=True)
    programs.mkdir()
    stand_in = programs / "chroot"
    stand_in.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    stand_in.chmod(0o755)
    places = {
        "/tmp/": f"{volume}/",  # the first, because what replaces the others begins with it
        "/opt/tlsfloor-verify": str(archive.parent / "tlsfloor-verify"),
        "/judge": str(volume),
        "/dev/termination-log": str(folder / "termination-log"),
        "/usr /opt /srv": target,
        '"$(command -v python3)"': target,
    }
    command = [here(word, places) for word in bring["command"]]
    subprocess.run(command, check=True)
    env = environment(verify, places)
    path = path or f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    env["PATH"] = f"{programs}:{path}"
    command = [here(word, places) for word in [*verify["command"], *verify["args"]]]
    return run(command, folder, **env)


@pytest.mark.parametrize("name", ["job", "daemonset"])
def test_a_pod_without_tlsfloor_has_no_report(tmp_path: Path, name: str) -> None:
    pod = read(f"kubernetes/{name}.yaml")["spec"]["template"]["spec"]
    containers = [*pod["initContainers"], *pod["containers"]]
    [verify] = [each for each in containers if each["name"] == "verify"]
    log = tmp_path / "termination-log"
    places = {"/tmp/": f"{tmp_path}/", "/judge": "/nowhere", "/dev/termination-log": str(log)}
    done = run(["sh", "-c", here(verify["args"][0], places)], tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such file" in (log.read_text() if name == "job" else done.stderr)


# Docker. The page builds images from Pythons that accept less, and do not.


def test_a_build_fails_where_verify_did_not_run(tmp_path: Path, broken: str) -> None:
    (tmp_path / "tlsfloor-verify.json").write_text(OLD)
    lines = (FLEET / "verified.Dockerfile").read_text("utf-8")
    [command] = re.findall(r"^RUN (.+)", lines, re.M)
    done = run(["sh", "-c", here(command, {"/tmp": str(tmp_path)})], tmp_path, PATH=broken)
    assert done.returncode != 0
    assert os.listdir(tmp_path) == []


# GitHub Actions, GitLab CI.


@pytest.mark.parametrize(
    ("python", "fail"), [("permits", "true"), ("permits", "false"), ("enforced", "true")]
)
def test_the_workflow_fails_only_where_it_should(
    archive: Path, projects: Path, tmp_path: Path, python: str, fail: str
) -> None:
    done = _run_workflow(archive, projects / python, tmp_path, fail)
    assert done.returncode == (PYTHONS[python] if fail == "true" else 0), done
    assert done.stdout.count("::warning title=tlsfloor::a Python accepts less") == PYTHONS[python]
    assert check_report((tmp_path / "tlsfloor-verify.json").read_text(), python) == LABELS


def test_the_workflow_fails_where_verify_did_not_run(
    archive: Path, projects: Path, tmp_path: Path, broken: str
) -> None:
    report = tmp_path / "tlsfloor-verify.json"
    report.write_text(OLD)
    done = _run_workflow(archive, projects / "enforced", tmp_path, "false", PATH=broken)
    assert done.returncode == 2, done
    assert "::warning" not in done.stdout
    assert not report.exists()


def _run_workflow(
    archive: Path, project: Path, temporary: Path, fail: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the step that verifies. The step after it keeps the file of the report that it names."""
    *_, keep = read("github-workflow.yml")["jobs"]["verify"]["steps"]
    assert keep["with"]["path"] == "${{ runner.temp }}/tlsfloor-verify.json"
    steps = read("github-workflow.yml")["jobs"]["verify"]["steps"]
    [step] = [each for each in steps if each.get("name") == "Verify its Python"]
    assert set(re.findall(r"\$(\w+)", step["run"])) <= {
        "ARCHIVE",
        "RUNNER_TEMP",
        "FLOOR",
        "FAIL",
        "status",
    }
    values = {"github.repository_owner": "payments", "github.repository": "shop:1"}
    given = {name: _github(text, values) for name, text in step["env"].items()}
    env = {
        **given,
        "ARCHIVE": str(archive),
        "RUNNER_TEMP": str(temporary),
        "FAIL": fail,
        "FLOOR": "1.2",
    }
    # The shell of a step `run`, by GitHub's page "Workflow syntax".
    return run(["bash", "-e", "-c", step["run"]], project, **{**env, **more})


def _github(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: values[found[1]], text)


def test_the_workflow_is_valid(tmp_path: Path) -> None:
    workflow: dict[Any, Any] = read("github-workflow.yml")
    workflow["on"] = workflow.pop(True)  # YAML 1.1 has more words for it
    validate("github-workflows", workflow)
    job = workflow["jobs"]["verify"]
    job["step"] = job.pop("steps")
    with pytest.raises(Exception, match="verify"):
        validate("github-workflows", workflow)


def test_the_workflow_uses_the_actions_that_the_project_uses() -> None:
    """These are updated, and pinned by their commits."""
    uses = re.compile(r"uses: (.+)")
    workflows = (guides.DOCS.parent / ".github" / "workflows").glob("*.yml")
    known = {each for file in workflows for each in uses.findall(file.read_text("utf-8"))}
    assert set(uses.findall((FLEET / "github-workflow.yml").read_text("utf-8"))) <= known


def test_the_workflow_passes_the_linter(tmp_path: Path) -> None:
    zizmor = f"{os.path.dirname(sys.executable)}/zizmor"
    if not os.path.exists(zizmor):
        parts.leave_out("zizmor", "it is not installed; hint: an extra of pyproject.toml has it")
    # The control runs what the title of a pull request contains; 14 is the highest severity.
    injected = "echo ${{ github.event.pull_request.title }}; tar -xzf"
    for name, change, status in (
        ("good", ("", ""), 0),
        ("bad", ("tar -xzf", injected), 14),
    ):
        file = tmp_path / f"{name}.yml"
        file.write_text((FLEET / "github-workflow.yml").read_text().replace(*change))
        command = [zizmor, "--offline", "--no-progress", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT)
        assert done.returncode == status, done.stdout + done.stderr


@pytest.mark.parametrize("python", PYTHONS)
def test_the_job_of_the_template_fails_only_where_it_should(
    archive: Path, projects: Path, tmp_path: Path, python: str
) -> None:
    done, report = _run_job(archive, projects / python, tmp_path)
    assert done.returncode == {"permits": 191, "enforced": 0}[python], done
    assert check_report(report.read_text(), python) == LABELS
    assert f"exit_codes: [{191}, {193}]" in (FLEET / "gitlab-template.yml").read_text("utf-8")


def test_the_job_knows_that_something_could_not_be_tried(archive: Path, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done, report = _run_job(archive, tmp_path, tmp_path, TARGETS=str(python))
    assert done.returncode == 193, done
    assert json.loads(report.read_text())["exit_status"] == 3


def test_the_job_of_the_template_fails_where_verify_did_not_run(
    archive: Path, projects: Path, tmp_path: Path, broken: str
) -> None:
    project = tmp_path / "project"
    shutil.copytree(projects / "enforced", project, symlinks=True)
    (project / "tlsfloor-verify.json").write_text(OLD)  # of another run, and committed
    done, report = _run_job(archive, project, tmp_path, PATH=broken)
    assert done.returncode == 2, done
    assert not report.exists()


def _run_job(
    archive: Path, project: Path, temporary: Path, **more: str
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run the script of the job; return also the file that is its artifact."""
    template = read("gitlab-template.yml")
    validate("gitlab-ci", template)
    job = template[".tlsfloor-verify"]
    values = {"$CI_PROJECT_ROOT_NAMESPACE": "payments", "$CI_PROJECT_PATH": "shop:1"}
    env = {name: here(text, values) for name, text in job["variables"].items()}
    env = {**env, "ARCHIVE": str(archive), "CI_JOB_ID": "4711", **more}
    script = "\n".join(["set -eo pipefail", *job["script"]])  # as GitLab's runner does
    done = run(["bash", "-c", script.replace("/tmp", str(temporary))], project, **env)
    [artifact] = job["artifacts"]["paths"]
    return done, project / here(artifact, {"$CI_JOB_ID": "4711"})


def test_the_example_in_the_template_is_valid() -> None:
    import yaml

    lines = (FLEET / "gitlab-template.yml").read_text("utf-8").splitlines()
    example = "\n".join(line[4:] for line in lines if line.startswith("#   "))
    pipeline = yaml.safe_load(example)
    assert pipeline["verify-tls"]["extends"] == ".tlsfloor-verify"
    validate("gitlab-ci", pipeline)
    pipeline["verify-tls"]["artefacts"] = {}
    with pytest.raises(Exception, match="artefacts"):
        validate("gitlab-ci", pipeline)


# AWS Systems Manager.


def _document() -> dict[str, Any]:
    parts.need("jsonschema")
    import jsonschema

    document = read("ssm-document.yaml")
    schema = json.loads((TESTS / "schemas" / "ssm-command.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(document)
    return document


@pytest.mark.parametrize(
    ("python", "fail"), [("permits", "true"), ("permits", "false"), ("enforced", "true")]
)
def test_the_command_of_the_document_fails_only_where_it_should(
    archive: Path, projects: Path, tmp_path: Path, python: str, fail: str
) -> None:
    parts.need("awscli", since=(3, 10))
    document = _document()
    given = {
        "Archive": "s3://example-bucket/tlsfloor-verify.tar.gz",
        "Reports": "s3://example-bucket/reports",
        "Targets": str(projects / python),
        "Labels": "owner=payments,image=shop:1",
        "Fail": fail,
    }
    objects = {"/example-bucket/tlsfloor-verify.tar.gz": archive.read_bytes()}
    with s3_server.serve(objects) as url:
        done = _send(document, given, tmp_path, url)
        assert done.returncode == (PYTHONS[python] if fail == "true" else 0), done
        report = objects["/example-bucket/reports/i-0123456789abcdef0.json"]
        labels = check_report(report.decode(), python)
        assert labels == {**LABELS, "host": "i-0123456789abcdef0"}
    assert os.listdir(tmp_path) == []  # nothing is left on the instance


def test_the_command_fails_without_the_archive(projects: Path, tmp_path: Path) -> None:
    parts.need("awscli", since=(3, 10))
    place = "s3://example-bucket/x"
    given = {"Archive": place, "Reports": place, "Targets": str(projects)}
    with s3_server.serve({}) as url:
        done = _send(_document(), given, tmp_path, url)
    assert done.returncode not in (0, 3)
    assert "404" in done.stderr


def test_the_command_fails_where_verify_did_not_run(
    archive: Path, projects: Path, tmp_path: Path, broken: str
) -> None:
    parts.need("awscli", since=(3, 10))
    given = {
        "Archive": "s3://example-bucket/a",
        "Reports": "s3://example-bucket/reports",
        "Targets": str(projects),
    }
    objects = {"/example-bucket/a": archive.read_bytes()}
    with s3_server.serve(objects) as url:
        done = _send(_document(), given, tmp_path, url, PATH=broken)
    assert done.returncode == 2, done
    assert "accepts less" not in done.stdout
    assert list(objects) == ["/example-bucket/a"]


@pytest.mark.parametrize("value", ["/usr; reboot", "/usr $(reboot)", "/usr\nreboot", '/usr" "'])
def test_the_document_takes_no_commands_as_targets(value: str) -> None:
    assert re.match(_document()["parameters"]["Targets"]["allowedPattern"], "/usr /opt")
    for parameter in _document()["parameters"].values():
        allowed = parameter.get("allowedPattern")
        assert (
            not re.search(allowed.replace("$", r"\Z"), value)
            if allowed
            else (value not in parameter["allowedValues"])
        )


def _send(
    document: dict[str, Any], given: dict[str, str], folder: Path, url: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the script of a document as the agent does, with parameters in place of their names."""
    [step] = document["mainSteps"]
    [script] = step["inputs"]["runCommand"]
    values = {}
    for name, parameter in document["parameters"].items():
        values[name] = value = given.get(name, parameter.get("default"))
        assert re.search(parameter.get("allowedPattern", ""), value)
        assert value in parameter.get("allowedValues", [value])
    script = re.sub(r"\{\{ (\w+) \}\}", lambda found: values[found[1]], script)
    return run(
        ["sh", "-c", script],
        folder,
        TMPDIR=str(folder),
        AWS_SSM_INSTANCE_ID="i-0123456789abcdef0",
        AWS_ENDPOINT_URL=url,
        AWS_ACCESS_KEY_ID="nobody",
        AWS_SECRET_ACCESS_KEY="nothing",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
        **more,
    )
