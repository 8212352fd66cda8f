"""The guide for containers, run: images, pods, policies, a Lambda function, a unit of systemd.

Nothing here has a container: what a container would run is run as a process, with the environment
and the folder that the page gives it, and calls a server that speaks TLS 1.0.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import queue
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

import guides
import parts
from guide_shell import assert_as_printed, running
from harness import HERE, PATIENCE, clean_environment
from tlsfloor.verify import peers
from tlsfloor.versions import TLS1_0, TLS1_2

PAGE = "how-to/containers.md"

#: Where the page has the folder.
FOLDER = "/opt/tlsfloor"

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
def app(tmp_path: Path) -> Path:
    file = tmp_path / "srv" / "app.py"
    file.parent.mkdir()
    file.write_text(APP)
    return file


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "opt" / "tlsfloor"
    command = [sys.executable, "-m", "tlsfloor", "bundle", str(folder)]
    subprocess.run(command, env=clean_environment(), check=True, capture_output=True)
    return folder


def run(command: list[str], *, cwd: Path | None = None, **env: str) -> str:
    """Run a command, which must succeed, and return what it printed."""
    done = subprocess.run(
        command,
        env=clean_environment(**env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def yaml_of(name: str) -> Any:
    parts.need("yaml")
    import yaml

    return yaml.safe_load(guides.block(PAGE, f"file: {name}"))


# Images.


def instructions(name: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the instructions of a Dockerfile of the page, by the parser that Docker has."""
    parts.need("dockerfile", since=(3, 9))
    import dockerfile

    parsed = dockerfile.parse_string(guides.block(PAGE, f"file: {name}"))
    return [(each.cmd.upper(), each.value) for each in parsed]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment in place of an image's Python, without tlsfloor; and its package."""
    folder = tmp_path_factory.mktemp("image")
    root = str(HERE.parent)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    return folder


def build(image: Path, name: str, here: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Do what a Dockerfile says; return the environment and the command of the container."""
    [wheel] = image.glob("*.whl")
    env, command = {"PATH": f"{image / 'venv' / 'bin'}:{os.environ['PATH']}"}, []
    for instruction, value in instructions(name):
        words = [_here(word, here) for word in value]
        if instruction == "RUN":
            [line] = words
            line = re.sub(r"(pip install \S+) tlsfloor", rf"\1 {wheel}", line)
            run(["sh", "-c", line], **env)
        elif instruction == "ENV":
            # Docker's ${name:+word} is the shell's.
            for variable, text in zip(words[::2], words[1::2]):
                env[variable] = run(["sh", "-c", f"echo {text}"], **env)
        elif instruction == "CMD":
            command = words
    return env, command


def _here(text: str, here: dict[str, str]) -> str:
    for there, instead in here.items():
        text = text.replace(there, instead)
    return text


def test_an_image_with_the_start_up_file_refuses(
    image: Path, app: Path, peer: dict[str, str]
) -> None:
    here = {"/srv/": f"{app.parent}/"}
    python = str(image / "venv" / "bin" / "python")
    assert run([python, str(app)], **peer) == "TLSv1"
    env, command = build(image, "Dockerfile", here)
    assert run(command, **env, **peer) in REFUSED
    assert run([command[0], "-I", *command[1:]], **env, **peer) in REFUSED


def test_an_image_with_the_folder_of_another_refuses(
    image: Path, app: Path, peer: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "opt" / "tlsfloor"
    build(image, "tlsfloor.Dockerfile", {FOLDER: str(folder)})
    [copied] = [value for name, value in instructions("app.Dockerfile") if name == "COPY"]
    assert copied[-2:] == (FOLDER, FOLDER)
    env, _ = build(image, "app.Dockerfile", {FOLDER: str(folder)})
    del env["PATH"]
    assert env == {"PYTHONPATH": f"{folder}/tlsfloor/bootstrap", "TLSFLOOR": "1.3"}
    assert run([sys.executable, str(app)], **peer) == "TLSv1"
    assert run([sys.executable, str(app)], **env, **peer) in REFUSED
    with peers.ServerPeer(TLS1_2) as better:
        asked = {**peer, "PORT": str(better.port)}
        assert run([sys.executable, str(app)], **env, **asked) in REFUSED


# Pods.


def start(pod: dict[str, Any], bundle: Path, app: Path, peer: dict[str, str]) -> dict[str, str]:
    """Run a pod's containers as processes, the init containers first; return what each said."""
    volume = app.parent.parent / "volume"
    volume.mkdir()
    said = {}
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        if container["name"] != "tlsfloor" and volume.stat().st_mode & 0o200:
            run(["chmod", "-R", "a-w", str(volume)])
        mounts = {
            each["mountPath"]: str(volume)
            for each in container.get("volumeMounts", [])
            if each["name"] == "tlsfloor"
        }
        # What is mounted hides what the image has there; only tlsfloor's image has anything.
        if container["image"] == "registry.example.com/tlsfloor:1":
            mounts = {FOLDER: str(bundle), **mounts}
        here = {**mounts, "/srv/": f"{app.parent}/"}
        command = [_here(word, here) for word in container["command"]]
        command[:1] = [sys.executable] if command[0] == "python" else command[:1]
        env = {each["name"]: _here(each["value"], here) for each in container.get("env", [])}
        said[container["name"]] = run(command, **env, **peer)
    run(["chmod", "-R", "u+w", str(volume)])
    return said


def bare(pod: dict[str, Any]) -> dict[str, Any]:
    """Return a pod as it is before anybody gave it a floor."""
    kept = {each["name"]: each for each in pod["containers"]}
    return {
        "containers": [
            {key: container[key] for key in ("name", "image", "command")}
            for container in kept.values()
        ]
    }


def check(resource: dict[str, Any]) -> None:
    parts.need("kubernetes_validate", since=(3, 10))
    import kubernetes_validate

    kubernetes_validate.validate(resource, "1.33", strict=True)


def test_a_pod_with_the_init_container_refuses(
    bundle: Path, app: Path, peer: dict[str, str], tmp_path: Path
) -> None:
    deployment = yaml_of("deployment.yaml")
    check(deployment)
    pod = deployment["spec"]["template"]["spec"]
    assert start(bare(pod), bundle, app, peer) == {"app": "TLSv1"}
    (tmp_path / "volume").rmdir()
    assert start(pod, bundle, app, peer)["app"] in REFUSED


def test_a_container_can_be_asked(bundle: Path) -> None:
    """By the page's first command; for once in a Python in which tlsfloor is not installed."""
    page = next(each.text for each in guides.blocks(PAGE) if each.kind == "console")
    [(command, _)] = guides.commands(page)
    words = command.partition(" -- python ")[2].split()
    env = {"PYTHONPATH": f"{bundle}/tlsfloor/bootstrap", "TLSFLOOR": "1.3"}
    assert "floor: 1.3 (held)\n" in run([sys._base_executable, *words], **env)


def test_the_environments_are_what_the_command_prints() -> None:
    """`tlsfloor env`, for images, pods and units."""
    parts.need("yaml")
    import yaml

    def printed(form: str) -> str:
        command = [sys.executable, "-m", "tlsfloor", "env", "--floor", "1.3", "--path", FOLDER]
        return subprocess.run(
            [*command, "--format", form],
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert guides.block(PAGE, "file: app.Dockerfile").endswith(f"\n{printed('docker')}")
    [container] = yaml_of("deployment.yaml")["spec"]["template"]["spec"]["containers"]
    assert container["env"] == yaml.safe_load(printed("k8s"))["env"]
    assert guides.block(PAGE, "file: tlsfloor.conf") == printed("systemd")


# Policies.


def policy(name: str) -> dict[str, Any]:
    """Return a policy of the page, once it has only fields that Kyverno's has."""
    written: dict[str, Any] = yaml_of(name)
    assert understood(written) == written
    return written


def understood(policy: dict[str, Any]) -> Any:
    """Return what Kyverno's own fields are of a policy: it must have them all, and right."""
    parts.need("cloudcoil", since=(3, 10))
    from cloudcoil.models.kyverno.v1 import ClusterPolicy

    model = ClusterPolicy.model_validate(policy)
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def test_a_misspelt_policy_is_not_understood() -> None:
    written = yaml_of("audit-tlsfloor.yaml")
    validate = written["spec"]["rules"][0]["validate"]
    validate["failureActions"] = validate.pop("failureAction")
    assert understood(written) != written


def resolve(value: Any, context: dict[str, Any]) -> Any:
    """Put in what stands in braces: JMESPath, as in Kyverno."""
    import jmespath

    if isinstance(value, dict):
        return {key: resolve(each, context) for key, each in value.items()}
    if isinstance(value, list):
        return [resolve(each, context) for each in value]
    whole = re.fullmatch(r"\{\{(.*)\}\}", value) if isinstance(value, str) else None
    return jmespath.search(whole[1].strip(), context) if whole else value


def each_of(foreach: dict[str, Any], pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the context of each element that a rule goes through."""
    import jmespath

    context = {"request": {"object": pod}}
    elements = jmespath.search(foreach["list"], context)
    for element in reversed(elements) if foreach.get("order") == "Descending" else elements:
        yield {**context, "element": element}


def merge(pod: dict[str, Any], patch: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Apply a strategic merge patch, by the filter of kustomize that Kyverno has too."""
    import yaml

    names = {key: pod[key] for key in ("apiVersion", "kind", "metadata")}
    (folder / "pod.yaml").write_text(yaml.safe_dump(pod))
    (folder / "patch.yaml").write_text(yaml.safe_dump({**names, **patch}))
    (folder / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": ["pod.yaml"], "patches": [{"path": "patch.yaml"}]})
    )
    kubectl = parts.need_program("kubectl")
    done = subprocess.run(
        [kubectl, "kustomize", folder], capture_output=True, text=True, check=True
    )
    merged: dict[str, Any] = yaml.safe_load(done.stdout)
    return merged


def mutate(pod: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what becomes of a pod by the policy of the page."""
    for rule in policy("add-tlsfloor.yaml")["spec"]["rules"]:
        if "foreach" not in rule["mutate"]:
            pod = merge(pod, rule["mutate"]["patchStrategicMerge"], folder)
            continue
        for foreach in rule["mutate"]["foreach"]:
            for context in each_of(foreach, pod):
                pod = merge(pod, resolve(foreach["patchStrategicMerge"], context), folder)
    return pod


def flagged(pod: dict[str, Any]) -> list[str]:
    """Return the names of the containers that the page's audit reports."""
    operators = {"Equals": lambda key, value: key == value, "NotEquals": lambda k, v: k != v}
    found = []
    for rule in policy("audit-tlsfloor.yaml")["spec"]["rules"]:
        for foreach in rule["validate"]["foreach"]:
            for context in each_of(foreach, pod):
                if any(
                    operators[each["operator"]](resolve(each["key"], context), each["value"])
                    for each in foreach["deny"]["conditions"]["any"]
                ):
                    found.append(context["element"]["name"])
    return found


def as_pod(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sample"}, "spec": spec}


def test_a_policy_gives_the_floor_to_a_pod_that_knows_nothing_of_it(
    bundle: Path, app: Path, peer: dict[str, str], tmp_path: Path
) -> None:
    parts.need("jmespath")
    wanted = yaml_of("deployment.yaml")["spec"]["template"]["spec"]
    before = as_pod(bare(wanted))
    assert flagged(before) == ["app"]
    after = mutate(before, tmp_path)
    check(after)
    # The page's own pod, but for its higher floor.
    [container] = wanted["containers"]
    container["env"] = [each for each in container["env"] if each["name"] != "TLSFLOOR"]
    assert after["spec"] == wanted
    assert flagged(after) == []
    assert start(after["spec"], bundle, app, peer)["app"] in REFUSED


def test_a_policy_keeps_what_a_pod_has(
    bundle: Path, app: Path, peer: dict[str, str], tmp_path: Path
) -> None:
    """Its PYTHONPATH, its floor, its mounts, its own init containers: these have the floor too."""
    parts.need("jmespath")
    program = {"image": "registry.example.com/app:1", "command": ["python", "/srv/app.py"]}
    env = [{"name": "PYTHONPATH", "value": "/srv/lib"}, {"name": "TLSFLOOR", "value": "1.3"}]
    mount = {"name": "data", "mountPath": "/data"}
    before = as_pod(
        {
            "initContainers": [{"name": "migrate", **program}, {"name": "warm", **program}],
            "containers": [
                {"name": "app", **program, "env": env, "volumeMounts": [mount]},
                {"name": "second", **program},
            ],
            "volumes": [{"name": "data", "emptyDir": {}}],
        }
    )
    assert flagged(before) == ["migrate", "warm", "app", "second"]
    after = mutate(before, tmp_path)
    check(after)
    assert flagged(after) == []
    spec = after["spec"]
    assert [each["name"] for each in spec["initContainers"]] == ["tlsfloor", "migrate", "warm"]
    assert [each["name"] for each in spec["containers"]] == ["app", "second"]
    first = spec["containers"][0]
    assert {each["name"]: each["value"] for each in first["env"]} == {
        "PYTHONPATH": f"{FOLDER}/tlsfloor/bootstrap:/srv/lib",
        "TLSFLOOR": "1.3",
    }
    assert {each["mountPath"] for each in first["volumeMounts"]} == {"/data", FOLDER}
    said = start(spec, bundle, app, peer)
    assert {said[name] for name in ("migrate", "warm", "app", "second")} <= set(REFUSED)
    # Kyverno may be called again where another webhook changed a pod.
    again = mutate(after, tmp_path)
    check(again)
    assert flagged(again) == []
    assert [each["name"] for each in again["spec"]["initContainers"]] == [
        "tlsfloor",
        "migrate",
        "warm",
    ]
    assert again["spec"]["initContainers"][0] == spec["initContainers"][0]


def test_the_audit_reports_a_floor_that_is_off(tmp_path: Path) -> None:
    parts.need("jmespath")
    pod = mutate(as_pod(bare(yaml_of("deployment.yaml")["spec"]["template"]["spec"])), tmp_path)
    pod["spec"]["containers"][0]["env"].append({"name": "TLSFLOOR", "value": "off"})
    assert flagged(pod) == ["app"]


# A Lambda function.


class RuntimeApi(http.server.BaseHTTPRequestHandler):
    """Lambda's Runtime API for one invocation."""

    told: queue.Queue[tuple[str, Any]]
    invoked: threading.Event

    def do_GET(self) -> None:
        """Hand out the one event; whoever asks for another waits until the end."""
        if self.invoked.is_set():
            return
        self.invoked.set()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "1")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(2**52))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:::function:f")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self) -> None:
        """Take the answer, or the error."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.told.put((self.path.rpartition("/")[2], json.loads(body)))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def invoke(command: list[str], **env: str) -> tuple[str, Any]:
    """Start the runtime by a command; return what it said of the one invocation."""
    api = type("Api", (RuntimeApi,), {"told": queue.Queue(), "invoked": threading.Event()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        environment = clean_environment(AWS_LAMBDA_RUNTIME_API=address, **env)
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe) as process:
            try:
                for _ in range(10 * PATIENCE):
                    with contextlib.suppress(queue.Empty):
                        return api.told.get(timeout=0.1)
                    if process.poll() is not None:
                        break
            finally:
                process.kill()
                server.shutdown()
            raise AssertionError(process.communicate())


def test_a_lambda_function_refuses_and_keeps_its_layers(
    tmp_path: Path, peer: dict[str, str]
) -> None:
    parts.need("awslambdaric", since=(3, 9))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    opt = tmp_path / "layer"
    site_packages = opt / "python" / "lib" / version / "site-packages"
    site_packages.mkdir(parents=True)
    (site_packages / "in_site_packages.py").write_text("")
    (opt / "python" / "in_python.py").write_text("")
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "app.py").write_text(f"import in_site_packages, in_python\n{APP}")
    (tmp_path / "tlsfloor-wrapper").write_text(
        guides.block(PAGE, "file: tlsfloor-wrapper").replace("/opt/", f"{opt}/")
    )
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
    assert invoke(command, **env) == ("response", "TLSv1")
    what, answer = invoke([str(opt / "tlsfloor-wrapper"), *command], **env)
    assert what == "response"
    assert answer in REFUSED
    # What the page warns of: the variable alone costs the layers.
    what, answer = invoke(command, **env, PYTHONPATH=f"{opt}/tlsfloor/tlsfloor/bootstrap")
    assert (what, answer["errorType"]) == ("error", "Runtime.ImportModuleError")


# A unit of systemd.

UNIT = """
[Unit]
Description=a program that calls a server

[Service]
ExecStart={python} {app}
"""


def variables(text: str) -> dict[str, str]:
    """Return what the Environment= lines of a unit set."""
    return dict(re.findall(r'^Environment="([^=]+)=(.*)"$', text, re.MULTILINE))


def test_a_unit_with_the_drop_in_refuses(
    bundle: Path, app: Path, peer: dict[str, str], tmp_path: Path
) -> None:
    parts.need_program("systemd-analyze")
    drop_in = guides.block(PAGE, "file: tlsfloor.conf").replace(FOLDER, str(bundle))
    unit = tmp_path / "units" / "app.service"
    (unit.parent / "app.service.d").mkdir(parents=True)
    unit.write_text(UNIT.format(python=sys.executable, app=app).lstrip())
    (unit.parent / "app.service.d" / "tlsfloor.conf").write_text(drop_in)
    [verify, _] = guides.commands(guides.block(PAGE, "systemd"))
    env = clean_environment(SYSTEMD_UNIT_PATH=f"{unit.parent}:")
    done = subprocess.run(
        verify[0].split(), cwd=unit.parent, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    command = [sys.executable, str(app)]
    assert run(command, **peer) == "TLSv1"
    assert run(command, **variables(drop_in), **peer) in REFUSED
