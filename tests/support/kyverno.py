"""Applies Kyverno's policies to a pod, as far as the guides use them.

Kyverno runs in a cluster, and not here. Its expressions are JMESPath, its merge is the one of
kustomize, and the fields of its policies are published. These three are real here.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import parts


def understood(policy: dict[str, Any]) -> Any:
    """Return a policy without the fields that Kyverno does not know."""
    parts.need("cloudcoil", since=(3, 10))
    from cloudcoil.models.kyverno.v1 import ClusterPolicy

    model = ClusterPolicy.model_validate(policy)
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def mutate(pod: dict[str, Any], policy: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a pod after a policy has changed it; ``folder`` is for the files of kustomize."""
    for rule in policy["spec"]["rules"]:
        change = rule["mutate"]
        for foreach in change.get("foreach", [{**change, "list": "[request]"}]):
            for context in _contexts(foreach, pod):
                pod = _merge(pod, _resolve(foreach["patchStrategicMerge"], context), folder)
    return pod


def denied(pod: dict[str, Any], policy: dict[str, Any]) -> list[str]:
    """Return the names of the containers that a policy reports."""
    [rule] = policy["spec"]["rules"]
    [foreach] = rule["validate"]["foreach"]
    conditions = foreach["deny"]["conditions"]["any"]
    return [
        context["element"]["name"]
        for context in _contexts(foreach, pod)
        if any(_is_true(condition, context) for condition in conditions)
    ]


def _is_true(condition: dict[str, Any], context: dict[str, Any]) -> bool:
    equal: bool = _resolve(condition["key"], context) == condition["value"]
    return equal is {"Equals": True, "NotEquals": False}[condition["operator"]]


def _resolve(value: Any, context: dict[str, Any]) -> Any:
    """Replace the expressions in braces by their values."""
    if isinstance(value, dict):
        return {key: _resolve(item, context) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, context) for item in value]
    whole = re.fullmatch(r"\{\{(.*)\}\}", value) if isinstance(value, str) else None
    return _search(whole[1].strip(), context) if whole else value


def _search(expression: str, context: dict[str, Any]) -> Any:
    parts.need("jmespath")
    import jmespath

    return jmespath.search(expression, context)


def _contexts(foreach: dict[str, Any], pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a context for each element of the list that a rule iterates over."""
    context = {"request": {"object": pod}}
    found = [{**context, "element": each} for each in _search(foreach["list"], context)]
    return found[::-1] if foreach.get("order") == "Descending" else found


def _merge(pod: dict[str, Any], patch: dict[str, Any], folder: Path) -> dict[str, Any]:
    import yaml

    names = {key: pod[key] for key in ("apiVersion", "kind", "metadata")}
    for name, content in {
        "pod": pod,
        "patch": {**names, **patch},
        # A newer kubectl has another field for it, which Debian 12's does not know.
        "kustomization": {"resources": ["pod.yaml"], "patchesStrategicMerge": ["patch.yaml"]},
    }.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    command = [parts.need_program("kubectl"), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, check=True)
    merged: dict[str, Any] = yaml.safe_load(done.stdout)
    return merged
