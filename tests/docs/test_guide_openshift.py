"""The guide for OpenShift, run: its commands, its YAML, and who terminates TLS on which route.

OpenShift's router is haproxy. Here is one, configured by hand as the router does it for the four
kinds of route, between legacy clients and gunicorn.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sysconfig
from pathlib import Path
from typing import Iterator

import jsonschema
import pytest

import guides
import parts
from guide_shell import assert_as_printed, running
from programs import BOOTSTRAP, TESTS, clean_environment, python
from kubernetes_files import FOLDER, bundle, check, environment, resources
from peers import NAMES
from ports import reserved_port
from tlsfloor.peers import handshakes
from tlsfloor.versions import FLOORS

PAGE = "how-to/openshift.md"

#: Debian's: the one that README tells of.
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of the page, and the keys and certificates that it takes as given."""
    parts.need("flask", "gunicorn")
    guides.write_files(PAGE, tmp_path)
    for name in ("tls", "client"):
        shutil.copy(handshakes.PEER_FILE, tmp_path / f"{name}.crt")
        shutil.copy(handshakes.PEER_FILE, tmp_path / f"{name}.key")
    for name in ("ca", "clients"):
        shutil.copy(handshakes.CA_FILE, tmp_path / f"{name}.crt")
    return tmp_path


def speak(port: int, name: str, server_name: str = "localhost") -> str:
    """Return what a client that speaks one version got: that version, or the error."""
    seen = handshakes.call("127.0.0.1", port, FLOORS[name], "rsa", server_name=server_name)
    if seen.version is None:
        return seen.error
    status = seen.data.split(b" ")[1].decode()
    return NAMES[seen.version] if status == "200" else f"{NAMES[seen.version]}, status {status}"


def test_the_server_accepts_tls_1_0_without_a_floor_and_refuses_it_with_one(folder: Path) -> None:
    for name in ("without a floor", "with a floor"):
        with running(guides.block(PAGE, name), folder, {"8443": reserved_port()}) as steps:
            assert_as_printed(steps)


def test_a_client_that_cannot_speak_tls_1_0_proves_nothing(folder: Path) -> None:
    parts.need_program("openssl")
    [(server, _), _] = guides.commands(guides.block(PAGE, "without a floor"))
    text = f"$ {server}\n{guides.block(PAGE, 'a client that can and one that cannot')}"
    with running(text, folder, {"8443": reserved_port()}) as steps:
        assert_as_printed(steps)
    held = f"$ export PYTHONPATH={BOOTSTRAP}\n{text}"
    with running(held, folder, {"8443": reserved_port()}) as steps:
        *_, cannot, can = steps
        assert "tlsv1 alert protocol version" in cannot.printed
        assert "tlsv1 alert protocol version" in can.printed


def test_ssl_version_of_gunicorn_is_no_floor(folder: Path) -> None:
    """On Debian's Python, which sets no minimum: by the page's command, and then with a floor."""
    minimum = "import ssl; print(int(ssl.create_default_context().minimum_version))"
    if not os.path.exists(SYSTEM_PYTHON):
        pytest.skip(f"there is no {SYSTEM_PYTHON}")
    if int(python("-c", minimum, executable=SYSTEM_PYTHON).stdout) >= FLOORS["1.2"]:
        pytest.skip(f"{SYSTEM_PYTHON} sets a minimum of its own")
    (folder / "gunicorn.conf.py").unlink()
    (folder / "bin").mkdir()
    (folder / "bin" / "gunicorn").write_text(f'#!/bin/sh\nexec {SYSTEM_PYTHON} -m gunicorn "$@"\n')
    (folder / "bin" / "gunicorn").chmod(0o755)
    libraries = sysconfig.get_path("purelib")
    text = guides.block(PAGE, "ssl-version")
    path = str(folder / "bin")
    # ``tlsfloor`` is this Python's, whose libraries these are.
    with running(text, folder, {"8443": reserved_port()}, path, PYTHONPATH=libraries) as steps:
        assert_as_printed(steps)
    port = reserved_port()
    both = os.pathsep.join([BOOTSTRAP, libraries])
    with running(text, folder, {"8443": port}, path, PYTHONPATH=both):
        assert "protocol_version" in speak(port, "1.0")
        assert "protocol_version" in speak(port, "1.1")
        assert speak(port, "1.2") == "TLSv1.2"


def test_client_certificates_stay_demanded_with_a_floor(folder: Path) -> None:
    parts.need_program("curl")
    text = guides.block(PAGE, "client certificates")
    for env in ({}, {"PYTHONPATH": BOOTSTRAP, "TLS_MIN_VERSION": "VersionTLS13"}):
        with running(text, folder, {"8443": reserved_port()}, **env) as steps:
            assert_as_printed(steps)


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
    env = {}
    if floor:
        env = environment(container, {FOLDER: bundle(folder / floor), "VersionTLS13": floor})
    port = reserved_port()
    here = {"/etc/tls/": f"{folder}/", "0.0.0.0:8443": f"127.0.0.1:{port}"}
    with running(f"$ {' '.join(command)} &\n", folder, here, **env):
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

    Like OpenShift's it looks at the server name, passes a passthrough route's connection on as it
    is, and ends all others. It is told to accept every client: what is refused was refused by the
    pod.
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
    """The folder of a pod that gets no TLS: gunicorn has no configuration there."""
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
            # Edge and reencrypt: the router serves the client whatever the pod's floor is.
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
