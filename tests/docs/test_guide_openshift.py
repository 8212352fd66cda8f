"""``docs/how-to/openshift.md``: the page, followed; its YAML; and where TLS ends on which route.

OpenShift's router is haproxy. A test runs one between legacy clients and gunicorn, configured by
hand as the router configures it for the four kinds of route.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import jsonschema
import pytest

import docker_stand_in
import guides
import parts
from follow import Terminal, follow
from programs import TESTS, clean_environment, python
from kubernetes_files import FOLDER, bundle, check, environment, here, resources
from ports import reserved_port
from peers import NAMES
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS

PAGE = "how-to/openshift.md"

#: Debian's, which sets no minimum.
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.mark.timeout(900)
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    parts.need("dockerfile", since=(3, 9))
    for program in ("openssl", "curl", SYSTEM_PYTHON):
        parts.need_program(program)
    minimum = "import ssl; print(int(ssl.create_default_context().minimum_version))"
    if int(python("-c", minimum, executable=SYSTEM_PYTHON).stdout) >= FLOORS["1.2"]:
        pytest.skip(f"{SYSTEM_PYTHON} sets a minimum of its own")
    programs = docker_stand_in.install(tmp_path / "programs")
    follow(PAGE, tmp_path, ports=["8443"], skip=["on a cluster"], programs=programs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what the Deployment's container has: the application and its certificate."""
    parts.need("flask", "gunicorn")
    for name in ("app.py", "gunicorn.conf.py"):
        (tmp_path / name).write_text(guides.block(PAGE, f"file: {name}"))
    for name in ("tls.crt", "tls.key"):
        shutil.copy(handshakes.PEER_FILE, tmp_path / name)
    shutil.copy(handshakes.CA_FILE, tmp_path / "ca.crt")
    return tmp_path


def speak(port: int, name: str, server_name: str = "localhost") -> str:
    """Return what a client that speaks one version got: that version, or the error."""
    seen = handshakes.call("127.0.0.1", port, FLOORS[name], "rsa", server_name=server_name)
    if seen.version is None:
        return seen.error
    status = seen.data.split(b" ")[1].decode()
    return NAMES[seen.version] if status == "200" else f"{NAMES[seen.version]}, status {status}"


def test_the_deployment_and_its_service_fit_the_schemas_of_kubernetes() -> None:
    for each in resources(PAGE, "deployment.yaml"):
        check(each)
        each["spec"]["selectors"] = each["spec"].pop("selector")
        with pytest.raises(jsonschema.ValidationError):
            check(each)


def test_the_routes_fit_the_schema_of_openshift() -> None:
    schema = json.loads((TESTS / "schemas" / "openshift-route.json").read_text())
    routes = resources(PAGE, "routes.yaml")
    for route in routes:
        jsonschema.Draft7Validator(schema).validate(route)
    broken = {**routes[0], "spec": {**routes[0]["spec"], "tls": {"terminations": "edge"}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(broken)
    kinds = [route["spec"]["tls"]["termination"] for route in routes]
    assert kinds == ["edge", "passthrough", "reencrypt"]
    service = resources(PAGE, "deployment.yaml")[0]
    assert {route["spec"]["to"]["name"] for route in routes} == {service["metadata"]["name"]}
    assert {route["spec"]["port"]["targetPort"] for route in routes} == {
        port["name"] for port in service["spec"]["ports"]
    }


@contextlib.contextmanager
def pod(folder: Path, floor: str | None, *, tls: bool = True) -> Iterator[int]:
    """Run the container of the page's Deployment, with its environment where there is a floor."""
    [container] = resources(PAGE, "deployment.yaml")[1]["spec"]["template"]["spec"]["containers"]
    command = container["command"]
    if not tls:
        start = command.index("--keyfile")
        command = command[:start] + command[start + 4 :]
    port = reserved_port()
    places = {"/etc/tls/": f"{folder}/", "0.0.0.0:8443": f"127.0.0.1:{port}"}
    env = {"PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}
    if floor:
        env.update(environment(container, {FOLDER: bundle(folder / floor), "VersionTLS13": floor}))
    with contextlib.closing(Terminal(folder, clean_environment(**env))) as terminal:
        terminal.type(here(" ".join(command), places))
        terminal.wait_for("Listening at:")
        yield port


ROUTER = """
global
    ca-base {folder}
    crt-base {folder}

defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s

frontend public_ssl
    mode tcp
    bind fd@{public}
    tcp-request inspect-delay 5s
    tcp-request content accept if {{ req_ssl_hello_type 1 }}
    use_backend passthrough if {{ req.ssl_sni passthrough.apps.example.com }}
    default_backend terminate

backend passthrough
    mode tcp
    server pod 127.0.0.1:{pod}

backend terminate
    mode tcp
    server here unix@{folder}/terminate

frontend terminated
    bind unix@{folder}/terminate ssl crt router.pem ssl-min-ver TLSv1.0 ciphers ALL:@SECLEVEL=0
    use_backend edge if {{ ssl_fc_sni edge.apps.example.com }}
    use_backend legacy if {{ ssl_fc_sni legacy.apps.example.com }}
    default_backend reencrypt

backend edge
    server pod 127.0.0.1:{plain}

backend reencrypt
    default-server ssl verify required ca-file ca.crt verifyhost localhost
    server pod 127.0.0.1:{pod}

backend legacy
    default-server ssl verify required ca-file ca.crt verifyhost localhost
    server pod 127.0.0.1:{pod} force-tlsv10 ciphers ALL:@SECLEVEL=0

frontend public
    bind fd@{insecure}
    default_backend edge
"""


@contextlib.contextmanager
def router(folder: Path, pod: int, plain: int) -> Iterator[tuple[int, int]]:
    """Run a haproxy that serves one route of each kind, and one that re-encrypts with TLS 1.0.

    Like OpenShift's router, it reads the server name, forwards the connection of a passthrough
    route unchanged, and ends all others. It accepts every client, so a refusal is the pod's.
    """
    program = parts.need_program("haproxy")
    shutil.copy(handshakes.PEER_FILE, folder / "router.pem")
    with socket.create_server(("127.0.0.1", 0)) as public, socket.create_server(
        ("127.0.0.1", 0)
    ) as insecure:
        fds = (public.fileno(), insecure.fileno())
        (folder / "haproxy.cfg").write_text(
            ROUTER.format(
                public=fds[0], insecure=fds[1], pod=pod, plain=plain, folder=folder
            ).lstrip()
        )
        with subprocess.Popen(
            [program, "-db", "-q", "-f", str(folder / "haproxy.cfg")],
            pass_fds=fds,
            env=clean_environment(),
        ) as process:
            try:
                yield public.getsockname()[1], insecure.getsockname()[1]
            finally:
                process.terminate()


@pytest.fixture
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pod without TLS: gunicorn has no configuration there."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "app.py").write_text(guides.block(PAGE, "file: app.py"))
    return folder


def test_the_route_decides_what_a_floor_in_the_pod_holds(folder: Path, plain_folder: Path) -> None:
    """Client → router at TLS 1.0, and router → pod: the table of the page, cell by cell."""
    passthrough, edge, reencrypt, legacy = (
        f"{name}.apps.example.com" for name in ("passthrough", "edge", "reencrypt", "legacy")
    )
    with pod(plain_folder, "VersionTLS13", tls=False) as plain:
        with pod(folder, None) as port, router(folder, port, plain) as (public, insecure):
            # Without a floor the client decides, and so does the router.
            for host in (passthrough, edge, reencrypt, legacy):
                assert speak(public, "1.0", host) == "TLSv1", host
                assert speak(public, "1.2", host) == "TLSv1.2", host
        with pod(folder, "VersionTLS12") as port, router(folder, port, plain) as (public, insecure):
            # Passthrough: the pod refuses the client.
            assert "protocol_version" in speak(public, "1.0", passthrough)
            assert speak(public, "1.2", passthrough) == "TLSv1.2"
            # Edge and reencrypt: the floor of the pod makes no difference to the client.
            assert speak(public, "1.0", edge) == "TLSv1"
            assert speak(public, "1.0", reencrypt) == "TLSv1"
            # Reencrypt: the pod refuses a router that speaks TLS 1.0 to it.
            assert speak(public, "1.2", legacy) == "TLSv1.2, status 503"
            # No TLS: nothing to hold.
            with socket.create_connection(("127.0.0.1", insecure), handshakes.TIMEOUT) as http:
                http.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert b" 200 " in http.recv(65536)
        with pod(folder, "VersionTLS13") as port, router(folder, port, plain) as (public, _):
            assert "protocol_version" in speak(public, "1.2", passthrough)
            assert speak(public, "1.3", passthrough) == "TLSv1.3"
            assert speak(public, "1.2", reencrypt) == "TLSv1.2"
