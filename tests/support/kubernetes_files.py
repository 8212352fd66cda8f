"""Reads the Kubernetes resources that guides show, to run their containers without Kubernetes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import guides
import parts
from programs import clean_environment

#: The folder of ``tlsfloor bundle`` in the containers of the guides.
FOLDER = "/opt/tlsfloor"


def resources(page: str, name: str) -> list[Any]:
    """Return the resources in a file of a page."""
    parts.need("yaml")
    import yaml

    return list(yaml.safe_load_all(guides.block(page, f"file: {name}")))


def check(resource: dict[str, Any]) -> None:
    """Validate a resource against the published schema of its kind, which has all its fields."""
    parts.need("kubernetes_validate", since=(3, 10))
    import kubernetes_validate

    kubernetes_validate.validate(resource, "1.33", strict=True)


def here(text: str, places: dict[str, str]) -> str:
    """Replace paths of a container by the paths that they have here."""
    for there, instead in places.items():
        text = text.replace(there, instead)
    return text


def environment(container: dict[str, Any], places: dict[str, str]) -> dict[str, str]:
    """Return the environment variables that a container sets."""
    variables = container.get("env", [])
    return {variable["name"]: here(variable["value"], places) for variable in variables}


def bundle(folder: Path) -> str:
    """Make the folder that the guides mount; return its path."""
    command = [sys.executable, "-m", "tlsfloor", "bundle", str(folder)]
    subprocess.run(command, env=clean_environment(), check=True, capture_output=True)
    return str(folder)
