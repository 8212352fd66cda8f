"""The Kubernetes resources that guides show, and what runs their containers without Kubernetes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import guides
import parts
from programs import clean_environment

#: Where the guides have the folder of ``tlsfloor bundle``.
FOLDER = "/opt/tlsfloor"


def resources(page: str, name: str) -> list[Any]:
    """Return what a file of a page holds."""
    parts.need("yaml")
    import yaml

    return list(yaml.safe_load_all(guides.block(page, f"file: {name}")))


def check(resource: dict[str, Any]) -> None:
    """Hold a resource against the published schema of its kind: no field is misspelt."""
    parts.need("kubernetes_validate", since=(3, 10))
    import kubernetes_validate

    kubernetes_validate.validate(resource, "1.33", strict=True)


def here(text: str, places: dict[str, str]) -> str:
    """Say where something of the container is here."""
    for there, instead in places.items():
        text = text.replace(there, instead)
    return text


def environment(container: dict[str, Any], places: dict[str, str]) -> dict[str, str]:
    """Return the variables that a container is given."""
    return {each["name"]: here(each["value"], places) for each in container.get("env", [])}


def bundle(folder: Path) -> str:
    """Make the folder that the guides mount, and return where it is."""
    command = [sys.executable, "-m", "tlsfloor", "bundle", str(folder)]
    subprocess.run(command, env=clean_environment(), check=True, capture_output=True)
    return str(folder)
