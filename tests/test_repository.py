"""The files that services and contributors read: workflows, forms, metadata, citation."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import guides
import parts
import tlsfloor
from programs import clean_environment
from tlsfloor.verifier import sarif

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "tlsfloor"
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(each for each in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if each.stem != "config")

#: A file -> the schema that the JSON Schema Store publishes for it, which check-jsonschema brings.
SCHEMAS = {
    **dict.fromkeys(WORKFLOWS, "github-workflows"),
    **dict.fromkeys(FORMS, "github-issue-forms"),
    GITHUB / "ISSUE_TEMPLATE" / "config.yml": "github-issue-config",
    GITHUB / "dependabot.yml": "dependabot",
    ROOT / "CITATION.cff": "citation-file-format",
}


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@functools.lru_cache(maxsize=None)
def read(file: Path) -> Any:
    parts.need("yaml")
    import yaml

    # GitHub reads YAML 1.2, where the key "on" is no boolean.
    return {
        "on" if key is True else key: value
        for key, value in yaml.safe_load(file.read_text("utf-8")).items()
    }


def validator(file: Path) -> Any:
    parts.need("check_jsonschema", since=(3, 10))
    import jsonschema
    from check_jsonschema.builtin_schemas import get_builtin_schema

    schema = get_builtin_schema(f"vendor.{SCHEMAS[file]}")
    return jsonschema.validators.validator_for(schema)(schema)


def steps() -> Iterator[dict[str, Any]]:
    for workflow in WORKFLOWS:
        for job in read(workflow)["jobs"].values():
            yield from job["steps"]


# --- services


@pytest.mark.parametrize("file", SCHEMAS, ids=name_of)
def test_a_file_is_valid_by_its_published_schema(file: Path) -> None:
    found = read(file)
    validator(file).validate(found)
    # The control: the schema knows which keys there are.
    for key in found:
        changed = {**found, key: [1.5]}
        assert list(validator(file).iter_errors(changed)), key


def test_every_action_is_pinned_by_its_commit() -> None:
    """A tag can be moved. The comment has the version, for people and for Dependabot."""
    pins: dict[str, set[tuple[str, str]]] = {}
    for workflow in WORKFLOWS:
        text = workflow.read_text("utf-8")
        found = re.findall(
            r"uses: ([\w-]+/[\w-]+)(?:/[\w-]+)*@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$", text, re.M
        )
        assert len(found) == text.count("uses:"), workflow
        for action, commit, version in found:
            pins.setdefault(action, set()).add((commit, version))
    assert {"actions/checkout", "pypa/gh-action-pypi-publish"} <= set(pins)
    assert [action for action, known in pins.items() if len(known) > 1] == []


def test_workflows_and_contributors_run_only_sessions_that_nox_has() -> None:
    sessions = set(
        re.findall(r"@nox.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text("utf-8"))
    )
    sessions |= set(re.findall(r'name="(\w+)"', (ROOT / "noxfile.py").read_text("utf-8")))
    used = set()
    named = re.findall(r"nox (?:-R )?-s ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    assert {"format", "lint", "types", "docs"} <= set(named) <= sessions
    for step in steps():
        for words in re.findall(r"nox --session ([\w ]+)", step.get("run", "")):
            used |= set(words.split())
    rows = read(GITHUB / "workflows" / "weekly.yml")["jobs"]["session"]["strategy"]["matrix"]
    weekly = {row["session"] for row in rows["include"]}
    used |= {each.partition("-")[0] for each in weekly}
    assert {"cpython", "lint"} <= used <= sessions


def test_an_issue_form_asks_for_the_status_as_json() -> None:
    """It is the first thing that a maintainer needs, so the forms for faults demand it."""
    assert len(FORMS) == 3
    for form in FORMS:
        [status] = [each for each in read(form)["body"] if each.get("id") == "status"]
        assert "`tlsfloor status --json`" in status["attributes"]["label"]
        assert status["attributes"]["render"] == "json"
        required = status.get("validations", {}).get("required", False)
        assert required is (form.stem != "idea")


def tool(name: str) -> str:
    """Return the path of a program that pip installs."""
    parts.need("yaml", since=(3, 10))  # as the tools do
    return shutil.which(name, path=os.path.dirname(sys.executable)) or parts.need_program(name)


#: Runs what the title of a pull request contains.
INJECTION = """
on: pull_request
permissions: {}
jobs:
  bad:
    runs-on: ubuntu-latest
    steps:
      - run: echo "${{ github.event.pull_request.title }}"
"""


def test_a_linter_of_workflows_finds_nothing(tmp_path: Path) -> None:
    zizmor = [tool("zizmor"), "--offline", "--no-progress", "--quiet"]
    done = subprocess.run([*zizmor, str(GITHUB)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    # The control.
    (tmp_path / "bad.yml").write_text(INJECTION)
    command = [*zizmor, str(tmp_path / "bad.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "template-injection" in done.stdout
    assert done.returncode > 10  # the highest severity: 14 is high


def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    found = shutil.which("actionlint")
    if not found:
        pytest.skip("PyPI has no wheel of actionlint; pre-commit builds it")
    command = [found, *map(str, WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (tmp_path / "bad.yml").write_text(INJECTION.replace("runs-on", "run-on"))
    command = [found, str(tmp_path / "bad.yml")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


# --- hooks of pre-commit


def requirements(extra: str) -> set[str]:
    """Return the requirements of an extra, without the Pythons that they are for."""
    found = metadata()["project"]["optional-dependencies"][extra]
    return {each.partition(";")[0] for each in found}


def test_hooks_have_the_versions_of_the_extras() -> None:
    [local] = read(ROOT / ".pre-commit-config.yaml")["repos"]
    tools = requirements("style") | requirements("lint") | requirements("test")
    pinned = {each for each in tools if "==" in each}
    libraries = requirements("verify") | requirements("cyclonedx") | requirements("pytest")
    known = pinned | libraries | {"tomli"}
    used = {
        each.partition(";")[0]
        for hook in local["hooks"]
        if hook["language"] == "python"
        for each in hook["additional_dependencies"]
    }
    assert used <= known
    assert len(used & pinned) == 4  # ruff, codespell, zizmor, mypy


def test_both_files_for_pre_commit_are_valid(tmp_path: Path) -> None:
    pre_commit = tool("pre-commit")
    for command, name in (("config", "config"), ("manifest", "hooks")):
        wrong = tmp_path / name
        wrong.write_text("repos: [{repo: local}]")
        for file, status in ((ROOT / f".pre-commit-{name}.yaml", 0), (wrong, 1)):
            done = subprocess.run(
                [pre_commit, f"validate-{command}", str(file)], capture_output=True, check=False
            )
            assert done.returncode == status, done.stdout


def test_the_hook_for_others_brings_what_verify_needs() -> None:
    parts.need("yaml")
    import yaml

    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert {*hook["additional_dependencies"]} == requirements("verify")
    assert hook["entry"].split()[:2] == ["tlsfloor", "verify"]


class Repository:
    """A git repository with some files, in which pre-commit runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = clean_environment(
            PRE_COMMIT_HOME=str(folder / ".cache"),
            GIT_CONFIG_GLOBAL=os.devnull,
            **{
                f"GIT_{who}_{what}": "nobody"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        )

    def run(self, *command: str) -> tuple[int, str]:
        """Run a command; return its exit status and what it printed."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def commit(self) -> str:
        """Commit every file; return the commit."""
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all of it"]):
            assert self.run("git", *command) == (0, "")
        return self.run("git", "rev-parse", "HEAD")[1].strip()


@pytest.mark.timeout(600)
@pytest.mark.skipif(os.name != "posix", reason="the layout of virtual environments on POSIX")
def test_another_project_verifies_its_environment_by_the_hook(tmp_path: Path) -> None:
    parts.need_program("git")
    parts.need("rich", "tlslite", "urllib3")
    pre_commit = [tool("pre-commit"), "run", "--hook-stage", "manual", "tlsfloor-verify"]
    ours, theirs = Repository(tmp_path / "ours"), Repository(tmp_path / "theirs")
    shutil.copytree(SOURCE, ours.folder / "tlsfloor", ignore=shutil.ignore_patterns("*.pyc"))
    for name in (".pre-commit-hooks.yaml", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, ours.folder)
    theirs.folder.mkdir()
    config = guides.block("how-to/verify.md", "pre-commit")
    for shown, used in {
        f"{sarif.ADDRESS}/source": str(ours.folder),
        "v0.2.0": ours.commit(),
    }.items():
        assert shown in config
        config = config.replace(shown, used)
    (theirs.folder / ".pre-commit-config.yaml").write_text(
        config.replace("client]", "client, --hello]")
    )
    (theirs.folder / ".gitignore").write_text(".venv\n")
    theirs.commit()
    venv.create(theirs.folder / ".venv", symlinks=True)

    status, printed = theirs.run(*pre_commit)
    if status == 3 and "pip" in printed:  # an unexpected error
        parts.leave_out("a package index", printed)
    assert (status, "exit code: 1" in printed) == (1, True), printed
    assert re.search(r"^as started: (LOWERABLE|LEAKS), \d+ ", printed, re.M), printed
    # The same environment with a floor passes.
    command = [sys.executable, "-m", "tlsfloor", "install", "--prefix", ".venv", "--floor", "1.2"]
    theirs.env["PYTHONPATH"] = str(ROOT)
    status, printed = theirs.run(*command)
    assert status == 0, printed
    del theirs.env["PYTHONPATH"]
    status, printed = theirs.run(*pre_commit)
    assert (status, "Passed" in printed) == (0, True), printed
    # Nothing to verify is no success.
    shutil.rmtree(theirs.folder / ".venv")
    status, printed = theirs.run(*pre_commit)
    assert (status, "exit code: 2" in printed) == (1, True), printed


# --- the changelog


def test_an_entry_of_the_changelog_is_a_list_of_a_known_kind() -> None:
    known = {each["directory"] for each in metadata()["tool"]["towncrier"]["type"]}
    assert known == {"added", "changed", "deprecated", "removed", "fixed", "security"}
    for file in (ROOT / "changelog.d").glob("*.md"):
        if file.name != "README.md":
            assert file.name.split(".")[-2] in known, file
            assert re.match(r"(\*[\w ]+\*\n\n)?- ", file.read_text("utf-8")), file
    mark = metadata()["tool"]["towncrier"]["start_string"]
    assert (ROOT / "CHANGELOG.md").read_text("utf-8").count(mark) == 1


# --- metadata


def metadata() -> dict[str, Any]:
    if sys.version_info < (3, 11):
        parts.need("tomli")
        import tomli as tomllib
    else:
        import tomllib
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return tomllib.loads(text)


def test_the_project_has_one_address() -> None:
    links = metadata()["project"]["urls"]
    assert {"Documentation", "Changelog", "Source", "Issues"} <= set(links)
    contact = read(GITHUB / "ISSUE_TEMPLATE" / "config.yml")["contact_links"]
    cited = read(ROOT / "CITATION.cff")["url"]
    for link in (*links.values(), *(each["url"] for each in contact), cited):
        assert link.startswith(sarif.ADDRESS), link


def test_the_classifiers_name_the_versions_that_nox_runs() -> None:
    named = re.findall(
        r"^Programming Language :: Python :: (3\.\d+)$",
        "\n".join(metadata()["project"]["classifiers"]),
        re.M,
    )
    pythons = re.search(r"^PYTHONS = (\[.*?\])", (ROOT / "noxfile.py").read_text("utf-8"), re.M)
    assert pythons
    assert named == re.findall(r'"(3\.\d+)"', pythons[1])
    assert named[0] == metadata()["project"]["requires-python"][2:]


def test_the_security_policy_names_the_version_in_development() -> None:
    minor = ".".join(tlsfloor.__version__.split(".")[:2])
    policy = (ROOT / "SECURITY.md").read_text("utf-8")
    [row] = re.findall(r"^\| (\d+\.\d+)[^|]* \| yes \|$", policy, re.M)
    assert row == minor
