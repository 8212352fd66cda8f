"""``docs/how-to/containers.md``: images, pods, policies, a Lambda function, a unit of systemd.

Nothing here has a container: what a container would run is run as a process, with the environment
and the folder that the page gives it, and calls a server that speaks TLS 1.0.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

import guides
import parts
from guide_shell import assert_as_printed, running
from harness import HERE, PATIENCE, clean_environment
from kubernetes_files import FOLDER, bundle, check, environment, here, resources
from tlsfloor.verify import peers
from tlsfloor.versions import TLS1_0, TLS1_2

PAGE = "how-to/containers.md"

#: What is in a container: it accepts everything, and says what it got.
APP = """
import os, socket, ssl, warnings

def handler(event=None, context=None):
    warnings.simplefilter("ignore")
    tls = ssl.create_default_context(cafile=os.environ["CA"])
    tls.minimum_version = ssl.TLSVersion.TLSv1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    plain = socket.create_connection(("127.0.0.1", int(os.environ["PORT"])))
    try:
        return tls.wrap_socket(plain, server_hostname="localhost").version()
    except ssl.SSLError as error:
        return error.reason

if __name__ == "__main__":
    print(handler())
"""

#: OpenSSL's own refusal, or the peer's alert where no version is left in common.
REFUSED = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION")


@pytest.fixture
def peer() -> Iterator[dict[str, str]]:
    """A server that speaks TLS 1.0: what a program needs in its environment to call it."""
    with peers.ServerPeer(TLS1_0) as server:
        yield {"PORT": str(server.port), "CA": peers.CA_FILE}


@pytest.fixture
def app(tmp_path: Path) -> str:
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv" / "app.py").write_text(APP)
    return str(tmp_path / "srv" / "app.py")


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> str:
    return bundle(tmp_path_factory.mktemp("bundle") / "tlsfloor")


def run(*command: str, cwd: Path | None = None, **env: str) -> str:
    """Run a command, which must succeed, and return what it printed, errors included."""
    pipe, told = subprocess.PIPE, subprocess.STDOUT
    env = clean_environment(**env)
    with subprocess.Popen(command, cwd=cwd, env=env, stdout=pipe, stderr=told, text=True) as child:
        printed, _ = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0, printed
    return printed


def says(*command: str, **env: str) -> str:
    return run(*command, **env).strip()


def test_the_environments_are_what_the_command_prints() -> None:
    command = [sys.executable, "-m", "tlsfloor", "env", "--floor", "1.3", "--path", FOLDER]
    docker, k8s, systemd = (
        run(*command, "--format", each) for each in ("docker", "k8s", "systemd")
    )
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
    run(*build, cwd=HERE.parent)
    run(sys.executable, "-m", "venv", str(folder))
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PIP_FIND_LINKS": str(folder)}


def test_an_image_with_the_start_up_file_refuses(
    image: dict[str, str], app: str, peer: dict[str, str]
) -> None:
    written = dict(instructions("Dockerfile"))
    _, program = written["CMD"]
    command = ["env", "python", program.replace("/srv/app.py", app)]
    assert says(*command, **image, **peer) == "TLSv1"
    run("sh", "-c", *written["RUN"], **image)
    assert says(*command, **image, **peer) in REFUSED
    command.insert(2, "-I")
    assert says(*command, **image, **peer) in REFUSED


def test_an_image_with_the_folder_of_another_refuses(
    image: dict[str, str], app: str, peer: dict[str, str], tmp_path: Path
) -> None:
    places = {FOLDER: str(tmp_path / "tlsfloor")}
    run("sh", "-c", here(*dict(instructions("tlsfloor.Dockerfile"))["RUN"], places), **image)
    written = dict(instructions("app.Dockerfile"))
    assert written["COPY"][-2:] == [FOLDER, FOLDER]
    # Docker's ${name:+word} is the shell's.
    env = {
        name: says("sh", "-c", f"echo {here(text, places)}")
        for name, text in zip(written["ENV"][::2], written["ENV"][1::2])
    }
    assert says(sys.executable, app, **peer) == "TLSv1"
    assert says(sys.executable, app, **env, **peer) in REFUSED
    with peers.ServerPeer(TLS1_2) as better:
        assert says(sys.executable, app, **env, **{**peer, "PORT": str(better.port)}) in REFUSED


# Pods.


def start(pod: dict[str, Any], mounted: str, app: str, peer: dict[str, str]) -> dict[str, str]:
    """Run a pod's containers as processes, the init containers first; return what each said."""
    volume = Path(app).parent.parent / "volume"
    volume.mkdir(exist_ok=True)
    said = {}
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        # What is mounted hides what the image has there; only tlsfloor's image has anything.
        places = {FOLDER: mounted} if container["name"] == "tlsfloor" else {}
        for each in container.get("volumeMounts", []):
            places[each["mountPath"]] = str(volume)
            if each.get("readOnly"):
                run("chmod", "-R", "a-w", str(volume))
        places.update({"/srv/app.py": app})
        command = [here(word, places) for word in container["command"]]
        command[:1] = [sys.executable] if command[0] == "python" else command[:1]
        said[container["name"]] = says(*command, **environment(container, places), **peer)
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
    pod: dict[str, Any], mounted: str, app: str, peer: dict[str, str]
) -> None:
    assert start(bare(pod), mounted, app, peer) == {"app": "TLSv1"}
    assert start(pod, mounted, app, peer)["app"] in REFUSED


def test_a_container_can_be_asked(mounted: str) -> None:
    """By the page's first command; for once in a Python in which tlsfloor is not installed."""
    page = next(each.text for each in guides.blocks(PAGE) if each.kind == "console")
    [(command, _)] = guides.commands(page)
    words = command.partition(" -- python ")[2].split()
    env = {"PYTHONPATH": f"{mounted}/tlsfloor/bootstrap", "TLSFLOOR": "1.3"}
    assert "floor: 1.3 (held)\n" in run(sys._base_executable, *words, **env)


# Policies: Kyverno's expressions are JMESPath, and its merge is that of kustomize.


def policy(name: str) -> list[dict[str, Any]]:
    """Return the rules of a policy of the page, once it has only fields that Kyverno's has."""
    parts.need("cloudcoil", since=(3, 10))
    from cloudcoil.models.kyverno.v1 import ClusterPolicy

    [written] = resources(PAGE, name)
    rules: list[dict[str, Any]] = written["spec"]["rules"]
    for misspelt in (False, True):
        rules[0].update({"matches": {}} if misspelt else {})
        understood = ClusterPolicy.model_validate(written).model_dump(
            mode="json", by_alias=True, exclude_unset=True
        )
        assert (understood == written) is not misspelt
    del rules[0]["matches"]
    return rules


def resolve(value: Any, context: dict[str, Any]) -> Any:
    """Put in what stands in braces."""
    import jmespath

    if isinstance(value, dict):
        return {key: resolve(each, context) for key, each in value.items()}
    if isinstance(value, list):
        return [resolve(each, context) for each in value]
    whole = re.fullmatch(r"\{\{(.*)\}\}", value) if isinstance(value, str) else None
    return jmespath.search(whole[1].strip(), context) if whole else value


def each_of(foreach: dict[str, Any], pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the context of each element that a rule goes through."""
    context = {"request": {"object": pod}}
    elements = resolve(f"{{{{{foreach['list']}}}}}", context)
    found = [{**context, "element": element} for element in elements]
    return found[::-1] if foreach.get("order") == "Descending" else found


def merge(pod: dict[str, Any], patch: dict[str, Any], folder: Path) -> dict[str, Any]:
    import yaml

    names = {key: pod[key] for key in ("apiVersion", "kind", "metadata")}
    # The field that kubectl has in Debian 12, and still today.
    kustomization = {"resources": ["pod.yaml"], "patchesStrategicMerge": ["patch.yaml"]}
    for name, content in (
        ("pod", pod),
        ("patch", {**names, **patch}),
        ("kustomization", kustomization),
    ):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    command = [parts.need_program("kubectl"), "kustomize", str(folder)]
    merged: dict[str, Any] = yaml.safe_load(subprocess.check_output(command))
    return merged


def mutate(spec: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what becomes of a pod by the policy of the page."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sample"}, "spec": spec}
    for rule in policy("add-tlsfloor.yaml"):
        for patch in rule["mutate"].get("foreach", [{**rule["mutate"], "list": "[`1`]"}]):
            for context in each_of(patch, pod):
                pod = merge(pod, resolve(patch["patchStrategicMerge"], context), folder)
    check(pod)
    mutated: dict[str, Any] = pod["spec"]
    return mutated


def flagged(spec: dict[str, Any]) -> list[str]:
    """Return the names of the containers that the page's audit reports."""
    [rule] = policy("audit-tlsfloor.yaml")
    [foreach] = rule["validate"]["foreach"]
    found = []
    for context in each_of(foreach, {"spec": spec}):
        for each in foreach["deny"]["conditions"]["any"]:
            equal = resolve(each["key"], context) == each["value"]
            if equal is {"Equals": True, "NotEquals": False}[each["operator"]]:
                found.append(context["element"]["name"])
                break
    return found


def test_a_policy_makes_a_bare_pod_the_one_of_the_page(pod: dict[str, Any], tmp_path: Path) -> None:
    parts.need("jmespath")
    before = bare(pod)
    assert flagged(before) == ["app"]
    after = mutate(before, tmp_path)
    assert flagged(after) == []
    # But for its higher floor.
    env = pod["containers"][0]["env"]
    assert env.pop() == {"name": "TLSFLOOR", "value": "1.3"}
    assert after == pod
    env.append({"name": "TLSFLOOR", "value": "off"})
    assert flagged(pod) == ["app"]


def test_a_policy_keeps_what_a_pod_has(
    mounted: str, app: str, peer: dict[str, str], tmp_path: Path
) -> None:
    """Its PYTHONPATH, its floor, its mounts, its own init containers: these have the floor too."""
    parts.need("jmespath")
    program = {"image": "registry.example.com/app:1", "command": ["python", "/srv/app.py"]}
    env = [{"name": "PYTHONPATH", "value": "/srv/lib"}, {"name": "TLSFLOOR", "value": "1.3"}]
    mount = {"name": "data", "mountPath": "/data"}
    before = {
        "initContainers": [{"name": "migrate", **program}, {"name": "warm", **program}],
        "containers": [
            {"name": "app", **program, "env": env, "volumeMounts": [mount]},
            {"name": "second", **program},
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
    names = ["migrate", "warm", "app", "second"]
    assert flagged(before) == names
    after = mutate(before, tmp_path)
    # Kyverno may be called again, where another webhook changed a pod.
    for spec in (after, mutate(after, tmp_path)):
        assert flagged(spec) == []
        containers = [*spec["initContainers"], *spec["containers"]]
        assert [each["name"] for each in containers] == ["tlsfloor", *names]
    first = after["containers"][0]
    assert environment(first, {}) == {
        "PYTHONPATH": f"{FOLDER}/tlsfloor/bootstrap:/srv/lib",
        "TLSFLOOR": "1.3",
    }
    assert {each["mountPath"] for each in first["volumeMounts"]} == {"/data", FOLDER}
    said = start(after, mounted, app, peer)
    assert {said[name] for name in names} <= set(REFUSED)


# A Lambda function.


class RuntimeApi(http.server.BaseHTTPRequestHandler):
    """Lambda's Runtime API: it hands out one event, and keeps what it is told."""

    def do_GET(self) -> None:
        """Hand out the event."""
        self.answer(200, b"{}")

    def do_POST(self) -> None:
        """Take the answer, or the error."""
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told = (self.path.rpartition("/")[2], told)
        self.answer(202, b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "1")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(2**52))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:::function:f")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def invoke(*command: str, **env: str) -> tuple[str, Any]:
    """Start the runtime by a command; return what it said of the one invocation."""
    with http.server.HTTPServer(("127.0.0.1", 0), RuntimeApi) as api:
        api.told, api.timeout = None, 0.1
        env = clean_environment(AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{api.server_port}", **env)
        with subprocess.Popen(command, env=env) as process:
            while api.told is None and process.poll() is None:
                api.handle_request()
            process.kill()
        return api.told


def test_a_lambda_function_refuses_and_keeps_its_layers(
    tmp_path: Path, peer: dict[str, str]
) -> None:
    parts.need("awslambdaric", since=(3, 9))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    opt = tmp_path / "layer"
    wrapper = guides.block(PAGE, "file: tlsfloor-wrapper").replace("/opt/", f"{opt}/")
    for name, text in {
        f"layer/python/lib/{version}/site-packages/in_site_packages.py": "",
        "layer/python/in_python.py": "",
        "task/app.py": f"import in_site_packages, in_python\n{APP}",
        "tlsfloor-wrapper": wrapper,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with running(guides.block(PAGE, "layer"), tmp_path, {}) as steps:
        assert_as_printed(steps)
    env = {
        **peer,
        "OPT": str(opt),
        "LAMBDA_TASK_ROOT": str(tmp_path / "task"),
        "LAMBDA_RUNTIME_DIR": str(tmp_path / "runtime"),
        "_HANDLER": "app.handler",
    }
    # The image's interpreter has its version in its name, and so has one of a virtual environment.
    python = os.path.join(os.path.dirname(sys.executable), version)
    command = [python, str(HERE / "programs" / "lambda_bootstrap.py")]
    assert invoke(*command, **env) == ("response", "TLSv1")
    what, answer = invoke(str(opt / "tlsfloor-wrapper"), *command, **env)
    assert (what, answer in REFUSED) == ("response", True)
    # What the page warns of: the variable alone costs the layers.
    what, answer = invoke(*command, **env, PYTHONPATH=f"{opt}/tlsfloor/tlsfloor/bootstrap")
    assert (what, answer["errorType"]) == ("error", "Runtime.ImportModuleError")


# A unit of systemd.


def test_a_unit_with_the_drop_in_refuses(
    mounted: str, app: str, peer: dict[str, str], tmp_path: Path
) -> None:
    parts.need_program("systemd-analyze")
    drop_in = guides.block(PAGE, "file: tlsfloor.conf").replace(FOLDER, mounted)
    (tmp_path / "app.service.d").mkdir()
    (tmp_path / "app.service.d" / "tlsfloor.conf").write_text(drop_in)
    (tmp_path / "app.service").write_text(f"[Service]\nExecStart={sys.executable} {app}\n")
    [(verify, _), _] = guides.commands(guides.block(PAGE, "systemd"))
    assert run(*verify.split(), cwd=tmp_path, SYSTEMD_UNIT_PATH=f"{tmp_path}:") == ""
    env = dict(re.findall(r'^Environment="([^=]+)=(.*)"$', drop_in, re.MULTILINE))
    assert says(sys.executable, app, **peer) == "TLSv1"
    assert says(sys.executable, app, **env, **peer) in REFUSED
