"""``docs/how-to/containers.md``: images, pods, policies, a Lambda function, a unit of systemd.

Nothing here has a container: what a container would run is run as a process, with the environment
and the folder that the page gives it, and calls a server that speaks TLS 1.0.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

import guides
import kyverno
import parts
from guide_shell import assert_as_printed, running
from programs import PROGRAMS, TESTS, TIME_LIMIT, clean_environment
from lambda_api import invoke
from kubernetes_files import FOLDER, bundle, check, environment, here, resources
from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0, TLS1_2

PAGE = "how-to/containers.md"

#: What is in a container.
APP = str(PROGRAMS / "container.py")

#: OpenSSL's own refusal, or the peer's alert where no version is left in common.
REFUSED = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION")


@pytest.fixture(autouse=True)
def _peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that speaks TLS 1.0, for every program to call."""
    monkeypatch.setenv("CA", handshakes.CA_FILE)
    with handshakes.ServerPeer(TLS1_0) as server:
        monkeypatch.setenv("PORT", str(server.port))
        yield


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> str:
    return bundle(tmp_path_factory.mktemp("bundle") / "tlsfloor")


def run(*command: str, cwd: Path | None = None, **env: str) -> str:
    """Run a command, which must succeed, and return what it printed, errors included."""
    pipe, told = subprocess.PIPE, subprocess.STDOUT
    env = clean_environment(**env)
    with subprocess.Popen(command, cwd=cwd, env=env, stdout=pipe, stderr=told, text=True) as child:
        printed, _ = child.communicate(timeout=TIME_LIMIT)
    assert child.returncode == 0, printed
    return printed


def says(*command: str, **env: str) -> str:
    return run(*command, **env).strip()


def test_the_environments_are_what_the_command_prints() -> None:
    command = [sys.executable, "-m", "tlsfloor", "env", "--floor", "1.3", "--path", FOLDER]
    forms = ("docker", "k8s", "systemd")
    docker, k8s, systemd = (run(*command, "--format", each) for each in forms)
    [deployment] = resources(PAGE, "deployment.yaml")
    import yaml

    assert guides.block(PAGE, "file: app.Dockerfile").endswith(f"\n{docker}")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["env"] == yaml.safe_load(k8s)["env"]
    assert guides.block(PAGE, "file: tlsfloor.conf") == systemd


# Images.


def instructions(name: str) -> list[tuple[str, list[str]]]:
    """Return the instructions of a Dockerfile of the page, by the parser that Docker has."""
    parts.need("dockerfile", since=(3, 9))
    import dockerfile

    parsed = dockerfile.parse_string(guides.block(PAGE, f"file: {name}"))
    return [(each.cmd.upper(), list(each.value)) for each in parsed]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A virtual environment in place of an image's Python, for which tlsfloor is released."""
    folder = tmp_path_factory.mktemp("image")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    run(*build, cwd=TESTS.parent)
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    # It is this environment's pip, since a venv takes seconds to get its own.
    pip = folder / "bin" / "pip"
    pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip --python {folder}/bin/python "$@"\n')
    pip.chmod(0o755)
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PIP_FIND_LINKS": str(folder)}


def test_an_image_with_the_start_up_file_refuses(image: dict[str, str]) -> None:
    written = dict(instructions("Dockerfile"))
    _, program = written["CMD"]
    command = ["env", "python", program.replace("/srv/app.py", APP)]
    assert says(*command, **image) == "TLSv1"
    run("sh", "-c", *written["RUN"], **image)
    assert says(*command, **image) in REFUSED
    command.insert(2, "-I")
    assert says(*command, **image) in REFUSED


def test_an_image_with_the_folder_of_another_refuses(image: dict[str, str], tmp_path: Path) -> None:
    places = {FOLDER: str(tmp_path / "tlsfloor")}
    run("sh", "-c", here(*dict(instructions("tlsfloor.Dockerfile"))["RUN"], places), **image)
    written = dict(instructions("app.Dockerfile"))
    assert written["COPY"][-2:] == [FOLDER, FOLDER]
    # Docker's ${name:+word} is the shell's.
    env = {
        name: says("sh", "-c", f"echo {here(text, places)}")
        for name, text in zip(written["ENV"][::2], written["ENV"][1::2])
    }
    for version, name in ((TLS1_0, "TLSv1"), (TLS1_2, "TLSv1.2")):
        with handshakes.ServerPeer(version) as server:
            asked = {"PORT": str(server.port), "CA": handshakes.CA_FILE}
            assert says(sys.executable, APP, **asked) == name
            assert says(sys.executable, APP, **env, **asked) in REFUSED


# Pods.


def start(pod: dict[str, Any], mounted: str, folder: Path) -> dict[str, str]:
    """Run a pod's containers as processes, the init containers first; return what each said."""
    volume = folder / "volume"
    volume.mkdir(exist_ok=True)
    said = {}
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        # What is mounted hides what the image has there; only tlsfloor's image has anything.
        places = {FOLDER: mounted} if container["name"] == "tlsfloor" else {}
        for each in container.get("volumeMounts", []):
            places[each["mountPath"]] = str(volume)
            if each.get("readOnly"):
                run("chmod", "-R", "a-w", str(volume))
        places["/srv/app.py"] = APP
        command = [here(word, places) for word in container["command"]]
        command[:1] = [sys.executable] if command[0] == "python" else command[:1]
        said[container["name"]] = says(*command, **environment(container, places))
    run("chmod", "-R", "u+w", str(volume))
    return said


@pytest.fixture
def pod() -> dict[str, Any]:
    """The page's own pod."""
    [deployment] = resources(PAGE, "deployment.yaml")
    check(deployment)
    wanted: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return wanted


def bare(pod: dict[str, Any]) -> dict[str, Any]:
    """Return a pod as it is before anybody gave it a floor."""
    [container] = pod["containers"]
    return {"containers": [{key: container[key] for key in ("name", "image", "command")}]}


def test_a_pod_with_the_init_container_refuses(
    pod: dict[str, Any], mounted: str, tmp_path: Path
) -> None:
    assert start(bare(pod), mounted, tmp_path) == {"app": "TLSv1"}
    assert start(pod, mounted, tmp_path)["app"] in REFUSED


def test_a_container_can_be_asked(mounted: str) -> None:
    """By the page's first command; for once in a Python in which tlsfloor is not installed."""
    page = next(each.text for each in guides.blocks(PAGE) if each.kind == "console")
    [(command, _)] = guides.commands(page)
    words = command.partition(" -- python ")[2].split()
    env = {"PYTHONPATH": f"{mounted}/tlsfloor/bootstrap", "TLSFLOOR": "1.3"}
    assert "floor        1.3, held\n" in run(sys._base_executable, *words, **env)


# Policies.


def policy(name: str) -> dict[str, Any]:
    [written] = resources(PAGE, name)
    assert kyverno.understood(written) == written
    return written


def add(spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what becomes of a pod by the page's policy."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sample"}, "spec": spec}
    pod = kyverno.mutate(pod, policy("add-tlsfloor.yaml"), folder)
    check(pod)
    return pod["spec"]


def flagged(spec: dict[str, Any]) -> list[str]:
    """Return the names of the containers that the page's audit reports."""
    return kyverno.denied({"spec": spec}, policy("audit-tlsfloor.yaml"))


def test_a_misspelt_policy_is_not_understood() -> None:
    [written] = resources(PAGE, "audit-tlsfloor.yaml")
    [rule] = written["spec"]["rules"]
    rule["validate"]["failureActions"] = rule["validate"].pop("failureAction")
    assert kyverno.understood(written) != written


def test_a_policy_makes_a_bare_pod_the_one_of_the_page(pod: dict[str, Any], tmp_path: Path) -> None:
    assert flagged(bare(pod)) == ["app"]
    after = add(bare(pod), tmp_path)
    assert flagged(after) == []
    # But for its higher floor.
    env = pod["containers"][0]["env"]
    assert env.pop() == {"name": "TLSFLOOR", "value": "1.3"}
    assert after == pod
    env.append({"name": "TLSFLOOR", "value": "off"})
    assert flagged(pod) == ["app"]


def test_a_policy_keeps_what_a_pod_has(mounted: str, tmp_path: Path) -> None:
    """Its PYTHONPATH, its floor, its mounts, its own init containers: these have the floor too."""
    program = {"image": "registry.example.com/app:1", "command": ["python", "/srv/app.py"]}
    env = [{"name": "PYTHONPATH", "value": "/srv/lib"}, {"name": "TLSFLOOR", "value": "1.3"}]
    mount = {"name": "data", "mountPath": "/data"}
    own = {"name": "app", **program, "env": env, "volumeMounts": [mount]}
    before = {
        "initContainers": [{"name": "migrate", **program}, {"name": "warm", **program}],
        "containers": [own, {"name": "second", **program}],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    names = ["migrate", "warm", "app", "second"]
    assert flagged(before) == names
    after = add(before, tmp_path)
    # Kyverno may be called again, where another webhook changed a pod.
    for spec in (after, add(after, tmp_path)):
        assert flagged(spec) == []
        containers = [*spec["initContainers"], *spec["containers"]]
        assert [each["name"] for each in containers] == ["tlsfloor", *names]
    own = after["containers"][0]
    path = f"{FOLDER}/tlsfloor/bootstrap:/srv/lib"
    assert environment(own, {}) == {"PYTHONPATH": path, "TLSFLOOR": "1.3"}
    assert {each["mountPath"] for each in own["volumeMounts"]} == {"/data", FOLDER}
    said = start(after, mounted, tmp_path)
    assert {said[name] for name in names} <= set(REFUSED)


# A folder that is not there.


@pytest.fixture
def bare_python(tmp_path: Path) -> str:
    """A container's Python, in which tlsfloor is not installed."""
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "python"))
    return str(tmp_path / "python" / "bin")


def exits(*command: str, cwd: Path, **env: str) -> int:
    """Run a command; return 0 or 1: whether it failed."""
    env = clean_environment(**env)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, timeout=TIME_LIMIT)
    return min(done.returncode, 1)


@pytest.mark.parametrize("state", ["whole", "missing", "empty"])
def test_the_checks_notice_a_folder_that_arms_nothing(
    mounted: str, bare_python: str, tmp_path: Path, state: str
) -> None:
    (tmp_path / "empty" / "tlsfloor" / "bootstrap").mkdir(parents=True)
    folder = mounted if state == "whole" else str(tmp_path / state)
    env = {
        "PYTHONPATH": f"{folder}/tlsfloor/bootstrap",
        "TLSFLOOR": "1.3",
        "PATH": f"{bare_python}:{os.environ['PATH']}",
    }
    expected = 0 if state == "whole" else 1
    asked = dict(instructions("checked.Dockerfile"))["RUN"]
    import yaml

    # The control: without the folder the program runs on with TLS 1.0, and nobody says a word.
    assert says(f"{bare_python}/python", APP, **env) in (REFUSED if not expected else ("TLSv1",))
    assert exits("sh", "-c", *asked, cwd=tmp_path, **env) == expected
    probe = yaml.safe_load(guides.block(PAGE, "file: probe.yaml"))
    command = probe["startupProbe"]["exec"]["command"]
    assert exits(f"{bare_python}/{command[0]}", *command[1:], cwd=tmp_path, **env) == expected
    program = guides.block(PAGE, "file: start.py")
    assert exits(f"{bare_python}/python", "-c", program, cwd=tmp_path, **env) == expected
    [_, (verify,)] = [words for name, words in instructions("verified.Dockerfile") if name == "RUN"]
    verify = verify.replace("/tmp/judge/bin/tlsfloor", f"{sys.executable} -m tlsfloor")
    assert exits("sh", "-c", verify, cwd=TESTS.parent, **env) == expected


def test_a_pod_that_does_not_ask_is_reported(pod: dict[str, Any]) -> None:
    import yaml

    audit = policy("audit-tlsfloor-probe.yaml")
    assert kyverno.denied({"spec": pod}, audit) == ["app"]
    pod["containers"][0].update(yaml.safe_load(guides.block(PAGE, "file: probe.yaml")))
    check({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sample"}, "spec": pod})
    assert kyverno.denied({"spec": pod}, audit) == []


# A Lambda function.


def test_a_lambda_function_refuses_and_keeps_its_layers(tmp_path: Path) -> None:
    parts.need("awslambdaric", since=(3, 9))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    opt = tmp_path / "layer"
    wrapper = guides.block(PAGE, "file: tlsfloor-wrapper").replace("/opt/", f"{opt}/")
    for name, text in {
        f"layer/python/lib/{version}/site-packages/in_site_packages.py": "",
        "layer/python/in_python.py": "",
        "task/app.py": f"import in_site_packages, in_python\n{Path(APP).read_text()}",
        "tlsfloor-wrapper": wrapper,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with running(guides.block(PAGE, "layer"), tmp_path, {}) as steps:
        assert_as_printed(steps)
    env = {
        "OPT": str(opt),
        "LAMBDA_TASK_ROOT": str(tmp_path / "task"),
        "LAMBDA_RUNTIME_DIR": str(tmp_path / "runtime"),
        "_HANDLER": "app.handler",
    }
    # The image's interpreter has its version in its name, and so has one of a virtual environment.
    python = os.path.join(os.path.dirname(sys.executable), version)
    command = [python, str(PROGRAMS / "lambda_bootstrap.py")]
    assert invoke(*command, **env) == ("response", "TLSv1")
    what, answer = invoke(str(opt / "tlsfloor-wrapper"), *command, **env)
    assert (what, answer in REFUSED) == ("response", True)
    # What the page warns of: the variable alone costs the layers.
    what, answer = invoke(*command, **env, PYTHONPATH=f"{opt}/tlsfloor/tlsfloor/bootstrap")
    assert (what, answer["errorType"]) == ("error", "Runtime.ImportModuleError")


# A unit of systemd.


def test_a_unit_with_the_drop_in_refuses(mounted: str, tmp_path: Path) -> None:
    parts.need_program("systemd-analyze")
    drop_in = guides.block(PAGE, "file: tlsfloor.conf").replace(FOLDER, mounted)
    (tmp_path / "app.service.d").mkdir()
    (tmp_path / "app.service.d" / "tlsfloor.conf").write_text(drop_in)
    (tmp_path / "app.service").write_text(f"[Service]\nExecStart={sys.executable} {APP}\n")
    [(verify, _), _] = guides.commands(guides.block(PAGE, "systemd"))
    assert run(*verify.split(), cwd=tmp_path, SYSTEMD_UNIT_PATH=f"{tmp_path}:") == ""
    env = dict(re.findall(r'^Environment="([^=]+)=(.*)"$', drop_in, re.MULTILINE))
    assert says(sys.executable, APP) == "TLSv1"
    assert says(sys.executable, APP, **env) in REFUSED
