"""``docs/how-to/containers.md``: the page, followed; and what needs a cluster, Lambda or root.

No test runs a container. The command of a container runs as a process, with the environment and the
folder that the page gives to the container, and calls a server that speaks TLS 1.0.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

import docker_stand_in
import guides
import kyverno
import parts
from follow import follow
from programs import PROGRAMS, TIME_LIMIT, clean_environment
from kubernetes_files import FOLDER, bundle, check, environment, here, resources
from lambda_api import invoke
from tlsfloor.peers import handshakes
from tlsfloor.versions import TLS1_0

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


def run(*command: str, **env: str) -> str:
    """Run a command, which must succeed; return what it printed, errors included."""
    done = subprocess.run(
        command,
        env=clean_environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIME_LIMIT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.strip()


@pytest.mark.timeout(1200)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    parts.need("dockerfile", since=(3, 9))
    parts.need_program("systemd-analyze")
    follow(
        PAGE,
        tmp_path,
        ports=["8443"],
        skip=["on a cluster", "in an AWS account", "on a server", "example: compile"],
        programs=docker_stand_in.install(tmp_path / "programs"),
    )


# Pods.


def start(pod: dict[str, Any], mounted: str, folder: Path) -> dict[str, str]:
    """Run the containers of a pod as processes, init containers first; return their outputs."""
    volume = folder / "volume"
    volume.mkdir(exist_ok=True)
    outputs = {}
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        # A mount hides the files of the image there; only tlsfloor's own image has any.
        places = {FOLDER: mounted} if container["name"] == "tlsfloor" else {}
        for mount in container.get("volumeMounts", []):
            places[mount["mountPath"]] = str(volume)
            if mount.get("readOnly"):
                run("chmod", "-R", "a-w", str(volume))
        places["/srv/app.py"] = APP
        command = [here(word, places) for word in container["command"]]
        command[:1] = [sys.executable] if command[0] == "python" else command[:1]
        outputs[container["name"]] = run(*command, **environment(container, places))
    run("chmod", "-R", "u+w", str(volume))
    return outputs


@pytest.fixture
def pod() -> dict[str, Any]:
    """The pod of the page's Deployment."""
    [deployment] = resources(PAGE, "deployment.yaml")
    check(deployment)
    template: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return template


def bare(pod: dict[str, Any]) -> dict[str, Any]:
    """Return a pod as it is before it gets a floor."""
    [container] = pod["containers"]
    return {"containers": [{key: container[key] for key in ("name", "image", "command")}]}


def test_the_environment_of_the_pod_is_what_the_command_prints(pod: dict[str, Any]) -> None:
    options = ("--format", "k8s", "--floor", "1.3", "--path", FOLDER)
    import yaml

    printed = yaml.safe_load(run(sys.executable, "-m", "tlsfloor", "env", *options))
    [container] = pod["containers"]
    assert container["env"] == printed["env"]


def test_a_pod_with_the_init_container_refuses(
    pod: dict[str, Any], mounted: str, tmp_path: Path
) -> None:
    assert start(bare(pod), mounted, tmp_path) == {"app": "TLSv1"}
    assert start(pod, mounted, tmp_path)["app"] in REFUSED


def test_the_floor_of_a_container_can_be_asked_for(mounted: str) -> None:
    """The page's ``kubectl exec``, with a Python in which tlsfloor is not installed."""
    env = {"PYTHONPATH": f"{mounted}/tlsfloor/bootstrap", "TLSFLOOR": "1.3"}
    words = ["-m", "tlsfloor", "status"]
    assert "floor        1.3, held\n" in run(sys._base_executable, *words, **env)


# Policies.


def policy(name: str) -> dict[str, Any]:
    [written] = resources(PAGE, name)
    assert kyverno.understood(written) == written
    return written


def add(spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a pod after the page's policy has changed it."""
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


def test_the_policy_turns_a_bare_pod_into_the_pod_of_the_page(
    pod: dict[str, Any], tmp_path: Path
) -> None:
    assert flagged(bare(pod)) == ["app"]
    after = add(bare(pod), tmp_path)
    assert flagged(after) == []
    # Only the page's higher floor is missing.
    env = pod["containers"][0]["env"]
    assert env.pop() == {"name": "TLSFLOOR", "value": "1.3"}
    assert after == pod
    env.append({"name": "TLSFLOOR", "value": "off"})
    assert flagged(pod) == ["app"]


def test_the_policy_keeps_what_a_pod_has(mounted: str, tmp_path: Path) -> None:
    """Its PYTHONPATH, floor, mounts and init containers; the init containers are armed too."""
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
    # Kyverno calls a policy again if another webhook has changed the pod.
    for spec in (after, add(after, tmp_path)):
        assert flagged(spec) == []
        containers = [*spec["initContainers"], *spec["containers"]]
        assert [container["name"] for container in containers] == ["tlsfloor", *names]
    own = after["containers"][0]
    path = f"{FOLDER}/tlsfloor/bootstrap:/srv/lib"
    assert environment(own, {}) == {"PYTHONPATH": path, "TLSFLOOR": "1.3"}
    assert {mount["mountPath"] for mount in own["volumeMounts"]} == {"/data", FOLDER}
    outputs = start(after, mounted, tmp_path)
    assert {outputs[name] for name in names} <= set(REFUSED)


# A folder that is missing or empty. The checks of the build are on the page.


def fails(*command: str, **env: str) -> bool:
    env = clean_environment(**env)
    done = subprocess.run(command, env=env, capture_output=True, timeout=TIME_LIMIT)
    return done.returncode != 0


@pytest.mark.parametrize("state", ["whole", "missing", "empty"])
def test_the_checks_notice_a_folder_that_arms_nothing(
    mounted: str, tmp_path: Path, state: str
) -> None:
    parts.need("yaml")
    import yaml

    (tmp_path / "empty" / "tlsfloor" / "bootstrap").mkdir(parents=True)
    folder = mounted if state == "whole" else str(tmp_path / state)
    env = {"PYTHONPATH": f"{folder}/tlsfloor/bootstrap", "TLSFLOOR": "1.3"}
    # A container's Python, in which tlsfloor is not installed.
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "python"))
    python = str(tmp_path / "python" / "bin" / "python")
    # The control: without the folder the program connects with TLS 1.0, and prints no warning.
    assert run(python, APP, **env) in (REFUSED if state == "whole" else ("TLSv1",))
    probe = yaml.safe_load(guides.block(PAGE, "file: probe.yaml"))
    _, *arguments = probe["startupProbe"]["exec"]["command"]
    assert fails(python, *arguments, **env) is (state != "whole")
    program = guides.block(PAGE, "file: start.py")
    assert fails(python, "-c", program, **env) is (state != "whole")


def test_a_pod_without_the_probe_is_reported(pod: dict[str, Any]) -> None:
    import yaml

    audit = policy("audit-tlsfloor-probe.yaml")
    assert kyverno.denied({"spec": pod}, audit) == ["app"]
    pod["containers"][0].update(yaml.safe_load(guides.block(PAGE, "file: probe.yaml")))
    check({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sample"}, "spec": pod})
    assert kyverno.denied({"spec": pod}, audit) == []


# A Lambda function.


def test_a_lambda_function_refuses_and_keeps_its_layers(mounted: str, tmp_path: Path) -> None:
    parts.need("awslambdaric", since=(3, 9))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    opt = tmp_path / "layer"
    wrapper = opt / "tlsfloor-wrapper"
    for file, text in {
        opt / "python" / "lib" / version / "site-packages" / "in_site_packages.py": "",
        opt / "python" / "in_python.py": "",
        wrapper: guides.block(PAGE, "file: tlsfloor-wrapper").replace("/opt/", f"{opt}/"),
        tmp_path / "task" / "app.py": (
            f"import in_site_packages, in_python\n{Path(APP).read_text()}"
        ),
    }.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    wrapper.chmod(0o755)
    (opt / "tlsfloor").symlink_to(mounted)
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
    kind, answer = invoke(str(wrapper), *command, **env)
    assert (kind, answer in REFUSED) == ("response", True)
    # As the page warns: with the variable alone, the layers are lost.
    kind, answer = invoke(*command, **env, PYTHONPATH=f"{opt}/tlsfloor/tlsfloor/bootstrap")
    assert (kind, answer["errorType"]) == ("error", "Runtime.ImportModuleError")


# A systemd unit.


def test_a_unit_with_the_drop_in_refuses(mounted: str) -> None:
    options = ("--format", "systemd", "--floor", "1.3", "--path", mounted)
    drop_in = run(sys.executable, "-m", "tlsfloor", "env", *options)
    env = dict(re.findall(r'^Environment="([^=]+)=(.*)"$', drop_in, re.MULTILINE))
    assert set(env) == {"PYTHONPATH", "TLSFLOOR"}
    assert run(sys.executable, APP) == "TLSv1"
    assert run(sys.executable, APP, **env) in REFUSED
