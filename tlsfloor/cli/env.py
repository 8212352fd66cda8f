"""``tlsfloor env --format k8s``: the lines to paste that arm a Python from its environment."""

from __future__ import annotations

import json
import os
import shlex

from tlsfloor import policy, versions
from tlsfloor.deploy import bundle
from tlsfloor.errors import PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

# A path that was there before goes on, where the format can say so.
_REST = "${PYTHONPATH:+:$PYTHONPATH}"


def _sh(variables: dict[str, str]) -> str:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([f'{lines[0]}"{_REST}"', *lines[1:]])


def _docker(variables: dict[str, str]) -> str:
    quoted = [f'{name}="{_escape(value, "$")}"' for name, value in variables.items()]
    return "ENV " + " \\\n    ".join([f'{quoted[0][:-1]}{_REST}"', *quoted[1:]])


def _k8s(variables: dict[str, str]) -> str:
    # JSON's strings are YAML's; a dollar begins the name of another variable.
    values = {name: json.dumps(value.replace("$", "$$")) for name, value in variables.items()}
    lines = [f"  - name: {name}\n    value: {value}" for name, value in values.items()]
    return "\n".join(["env:", *lines])


def _systemd(variables: dict[str, str]) -> str:
    lines = [f'Environment="{name}={_escape(value, "")}"' for name, value in variables.items()]
    return "\n".join(["[Service]", *lines]).replace("%", "%%")  # a specifier begins with it


def _escape(value: str, more: str) -> str:
    return "".join(f"\\{each}" if each in f'"\\{more}' else each for each in value)


FORMATS: dict[str, Callable[[dict[str, str]], str]] = {
    "sh": _sh,
    "docker": _docker,
    "k8s": _k8s,
    "systemd": _systemd,
}


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--format", choices=FORMATS, default="sh", help="default: sh")
    parser.add_argument("--floor", default="1.2", help="1.2 or 1.3 (default: 1.2)")
    parser.add_argument(
        "--on-error",
        choices=policy.OUTCOMES,
        help="what becomes of a process in which the floor cannot be held (default: block)",
    )
    parser.add_argument(
        "--path",
        metavar="DIR",
        help="where a bundle will be mounted (default: this installation)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the lines."""
    folder = policy.lasting()
    if arguments.path is not None:
        folder = os.path.join(arguments.path, bundle.BOOTSTRAP)
        if not os.path.isabs(folder):
            raise PolicyError(
                f"--path {arguments.path} is relative: it would be another folder for each process",
                hint=f"--path {os.path.abspath(arguments.path)}",
            )
    if os.pathsep in folder or not folder.isprintable():
        raise PolicyError(f"{folder!r} cannot stand on a PYTHONPATH", hint="--path /opt/tlsfloor")
    variables = {
        "PYTHONPATH": folder,
        policy.FLOOR: versions.floor_name(policy.floor_of(arguments.floor, "--floor")),
    }
    if arguments.on_error:
        variables[policy.ON_ERROR] = arguments.on_error
    print(FORMATS[arguments.format](variables))
    return 0
