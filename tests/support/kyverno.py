"""Does with a pod what Kyverno's policies say, as far as the guides use them.

Kyverno is a program of a cluster, and is not run. Its expressions are JMESPath, its merge is that
of kustomize, and the fields of its policies are published: these three are the real ones.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import parts


def understood(policy: dict[str, Any]) -> Any:
    """Return the part of a policy that Kyverno's own fields are: all of it, if none is misspelt."""
    parts.need("cloudcoil", since=(3, 10))
    from cloudcoil.models.kyverno.v1 import ClusterPolicy

    model = ClusterPolicy.model_validate(policy)
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def mutate(pod: dict[str, Any], policy: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what becomes of a pod; ``folder`` is for the files of kustomize."""
    for rule in policy["spec"]["rules"]:
        change = rule["mutate"]
        for foreach in change.get("foreach", [{**change, "list": "[request]"}]):
            for context in _each(foreach, pod):
                pod = _merge(pod, _resolve(foreach["patchStrategicMerge"], context), folder)
    return pod


def denied(pod: dict[str, Any], policy: dict[str, Any]) -> list[str]:
    """Return the names of the containers that a policy reports."""
    [rule] = policy["spec"]["rules"]
    [foreach] = rule["validate"]["foreach"]
    conditions = foreach["deny"]["conditions"]["any"]
    return [
        context["element"]["name"]
        for context in _each(foreach, pod)
        if any(_holds(each, context) for each in conditions)
    ]


def _holds(condition: dict[str, Any], context: dict[str, Any]) -> bool:
    equal: bool = _resolve(condition["key"], context) == condition["value"]
    return equal is {"Equals": True, "NotEquals": False}[condition["operator"]]


def _resolve(value: Any, context: dict[str, Any]) -> Any:
    """Put in what stands in braces."""
    if isinstance(value, dict):
        return {key: _resolve(each, context) for key, each in value.items()}
    if isinstance(value, list):
        return [_resolve(each, context) for each in value]
    whole = re.fullmatch(r"\{\{(.*)\}\}", value) if isinstance(value, str) else None
    return _search(whole[1].strip(), context) if whole else value


def _search(expression: str, context: dict[str, Any]) -> Any:
    parts.need("jmespath")
    import jmespath

    return jmespath.search(expression, context)


def _each(foreach: dict[str, Any], pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the context of each element that a rule goes through."""
    context = {"request": {"object": pod}}
    found = [{**context, "element": each} for each in _search(foreach["list"], context)]
    return found[::-1] if foreach.get("order") == "Descending" else found


def _merge(pod: dict[str, Any], patch: dict[str, Any], folder: Path) -> dict[str, Any]:
    import yaml

    names = {key: pod[key] for key in ("apiVersion", "kind", "metadata")}
    for name, content in {
        "pod": pod,
        "patch": {**names, **patch},
        # The field for it that Debian 12's kubectl knows too.
        "kustomization": {"resources": ["pod.yaml"], "patchesStrategicMerge": ["patch.yaml"]},
    }.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    command = [parts.need_program("kubectl"), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, check=True)
    merged: dict[str, Any] = yaml.safe_load(done.stdout)
    return merged
