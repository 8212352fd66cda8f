"""Print the lines that arm a Python through its environment.

They are for a script, a Dockerfile, a pod or a systemd unit.

Examples:
  $ eval "$(tlsfloor env --floor 1.3)"
      arm every Python that this shell starts
  $ tlsfloor env --format k8s --path /opt/tlsfloor
      for a pod that mounts a bundle

Exit statuses:
  0     the lines were printed
  2     the call was wrong; nothing was done
"""

from __future__ import annotations

import argparse
import json
import os
import posixpath
import shlex

from tlsfloor import policy, versions
from tlsfloor.cli import floor_option, on_error_option
from tlsfloor.deploy import bundle_folder
from tlsfloor.errors import PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# Each format has its own quoting. Most can keep what was on PYTHONPATH before.

# What PYTHONPATH was before, if it was set (POSIX shell, 2.6.2; Docker knows this form too).
_REST = "${PYTHONPATH:+:$PYTHONPATH}"


def _sh(variables: dict[str, str]) -> str:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([f'{lines[0]}"{_REST}"', *lines[1:]])


def _docker(variables: dict[str, str]) -> str:
    quoted = [f'{name}="{_escape(value, "$")}"' for name, value in variables.items()]
    return "ENV " + " \\\n    ".join([f'{quoted[0][:-1]}{_REST}"', *quoted[1:]])


def _k8s(variables: dict[str, str]) -> str:
    # A JSON string is a YAML string. A dollar sign would begin the name of another variable.
    values = {name: json.dumps(value.replace("$", "$$")) for name, value in variables.items()}
    lines = [f"  - name: {name}\n    value: {value}" for name, value in values.items()]
    return "\n".join(["env:", *lines])


def _systemd(variables: dict[str, str]) -> str:
    lines = [f'Environment="{name}={_escape(value, "")}"' for name, value in variables.items()]
    return "\n".join(["[Service]", *lines]).replace("%", "%%")  # it begins a specifier


def _escape(value: str, special: str) -> str:
    """Put a backslash before quotes, backslashes and some more characters."""
    return "".join(f"\\{char}" if char in f'"\\{special}' else char for char in value)


FORMATS: dict[str, Callable[[dict[str, str]], str]] = {
    "sh": _sh,
    "docker": _docker,
    "k8s": _k8s,
    "systemd": _systemd,
}


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--format", choices=[*FORMATS], default="sh", help="default: sh")
    floor_option(parser)
    on_error_option(parser, None)
    parser.add_argument(
        "--path",
        metavar="DIR",
        help="where a bundle will be mounted (default: this installation)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the lines."""
    folder = policy.bootstrap_folder()
    if arguments.path is not None:
        # On Windows too, the lines may be for a container.
        paths = posixpath if arguments.path.startswith("/") else os.path
        folder = paths.join(arguments.path, *bundle_folder.BOOTSTRAP.split(os.sep))
        if not paths.isabs(folder):
            raise PolicyError(
                f"--path {arguments.path} is relative: each process would look in another folder",
                hint=f"--path {os.path.abspath(arguments.path)}",
            )
    separator = ":" if folder.startswith("/") else os.pathsep
    if separator in folder or not folder.isprintable():
        raise PolicyError(f"{folder!r} cannot be on PYTHONPATH", hint="--path /opt/tlsfloor")
    variables = {
        "PYTHONPATH": folder,
        policy.FLOOR: versions.floor_name(policy.floor_of(arguments.floor, "--floor")),
    }
    if arguments.on_error:
        variables[policy.ON_ERROR] = arguments.on_error
    print(FORMATS[arguments.format](variables))
    return 0
