"""Write a report as a bill of materials in CycloneDX 1.6, with the protocols in use (a CBOM).

There is a component for each interpreter, for each TLS library, and, as a cryptographic asset, for
each TLS version that an interpreter accepted as started, with the cipher suites that the peers
negotiated. An interpreter depends on its libraries and protocols. What CycloneDX has no place for,
such as the verdict, is a property whose name begins with ``tlsfloor:``.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from datetime import datetime, timezone

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.crypto import (
    CryptoAssetType,
    CryptoProperties,
    ProtocolProperties,
    ProtocolPropertiesCipherSuite,
    ProtocolPropertiesType,
)
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from tlsfloor import versions
from tlsfloor.errors import printable
from tlsfloor.inventory.identity import facts_of
from tlsfloor.verifier.cases import DEFAULT_SETUPS
from tlsfloor.verifier.formats import moved
from tlsfloor.versions import SSL3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from tlsfloor.verifier.examine import InterpreterResult, VerifyReport
    from tlsfloor.verifier.judge import CaseResult

#: Implementation -> type and name of its package URL, vendor and product of its CPE (empty if not
#: certain); of products that have one name and one version wherever they come from.
KNOWN = {
    "CPython": ("generic", "python", "python:python"),
    "OpenSSL": ("generic", "openssl", "openssl:openssl"),
    "LibreSSL": ("generic", "libressl", "openbsd:libressl"),
    "rustls": ("cargo", "rustls", ""),
}

# A version that a CPE can name as it stands: the letters of "3.14.0rc1" belong elsewhere.
_RELEASE = re.compile(r"\d+\.\d+\.\d+[a-z]?")

# What a peer says if it has negotiated a suite: its name, or its number if it has none.
_SUITE = re.compile(r"(?:TLS|SSL)_\w+|0x[0-9A-Fa-f]+")


def to_cyclonedx(report: VerifyReport) -> str:
    """Return a report as CycloneDX 1.6 in JSON."""
    components: dict[str, Component] = {}
    uses: dict[str, list[Component]] = {}
    for result in report.results:
        # An interpreter that was not tried has the protocols of the one that was tried.
        protocols = _protocols(result.same_as or result, report)
        parts = [*_libraries(result, report), *protocols]
        interpreter = _interpreter(result, report)
        uses[_ref(interpreter)] = parts
        # Several interpreters may use one library.
        components.update((_ref(each), each) for each in (interpreter, *parts))
    bom = Bom(
        components=components.values(),
        metadata=_metadata(report),
        # Each component is in it; Bom.register_dependency() would search all for each.
        dependencies=[
            Dependency(component.bom_ref, [Dependency(each.bom_ref) for each in uses.get(ref, ())])
            for ref, component in components.items()
        ],
    )
    outputter = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6)
    return outputter.output_as_string(indent=2) + "\n"


def _ref(component: Component) -> str:
    return str(component.bom_ref.value)


def _metadata(report: VerifyReport) -> BomMetaData:
    run = report.run
    began = datetime.strptime(run["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    names = ("host", "system", "distribution", "kernel", "machine", "user_id")
    facts = {name: run[name] for name in names}
    facts.update(command=" ".join(run["command"]), targets=", ".join(report.targets))
    facts.update(_basis(report), roles=", ".join(report.roles), exit_status=report.exit_status)
    tool = Component(type=ComponentType.APPLICATION, name="tlsfloor", version=report.tool)
    return BomMetaData(
        timestamp=began,
        tools=ToolRepository(components=[tool]),
        properties=[*_properties(facts), *_several("problem", report.problems)],
    )


def _basis(report: VerifyReport) -> dict[str, str]:
    return {"floor": versions.floor_name(report.floor), "evidence": report.evidence}


def _properties(facts: dict[str, Any]) -> list[Property]:
    """Return facts as properties, without those that are not known."""
    return [
        Property(name=f"tlsfloor:{name}", value=printable(str(value)))
        for name, value in facts.items()
        if value not in (None, "")
    ]


def _several(name: str, values: Iterable[str]) -> list[Property]:
    return [each for value in values for each in _properties({name: value})]


def _interpreter(result: InterpreterResult, report: VerifyReport) -> Component:
    path, verdict = result.interpreter.path, result.verdict
    facts = {
        "path": path,
        "venv": result.interpreter.venv,
        "image": result.interpreter.image,
        "openssl": result.fact("openssl"),
        **_basis(report),
        "verdict": verdict.name,
        "summary": str(verdict),
        "same_as": result.same_as and result.same_as.interpreter.path,
        "same_because": result.same_as and result.reason,
        "earlier_run": result.tried_before,
    }
    others = [f"{name}: {each}" for name, each in result.other_verdicts.items()]
    return _component(
        ComponentType.APPLICATION,
        f"interpreter:{path}",
        result.fact("implementation") or "Python",
        result.fact("version"),
        [(path, facts_of(path).sha256)],
        [
            *_properties(facts),
            *_several("other_verdict", others),
            *_several("reason", verdict.reasons),
        ],
    )


def _libraries(result: InterpreterResult, report: VerifyReport) -> Iterator[Component]:
    """Yield a component for each implementation in each library."""
    for library in moved(report.describe(result.libraries), result):
        names = [each.rpartition(" ") for each in library["implementation"].split(", ")]
        known = [(name, version) for name, _, version in names if _RELEASE.match(version)]
        files = [library, *library["parts"]]
        facts = {key: library.get(key) for key in ("path", "implementation", "stack", "coverage")}
        facts.update({key: library.get(key) for key in ("version", "built")})
        for name, version in known or [(os.path.basename(library["path"]), "")]:
            yield _component(
                ComponentType.LIBRARY,
                f"library:{library['path']}#{name}",
                name,
                version,
                [(each["path"], each.get("sha256", "")) for each in files],
                _properties(facts),
            )


def _protocols(result: InterpreterResult, report: VerifyReport) -> Iterator[Component]:
    """Yield a cryptographic asset for each version that was accepted as started."""
    accepted: dict[int, list[CaseResult]] = defaultdict(list)
    for each in result.as_started.results:
        if each.outcome == "accepted":
            accepted[each.case.version].append(each)
    for version, cases in sorted(accepted.items()):
        suites = {suite for each in cases for suite in each.peer_saw.split(", ")}
        by_default = any(each.case.setup in DEFAULT_SETUPS for each in cases)
        facts = {
            **_basis(report),
            "launch": result.as_started.name,
            "below_floor": str(version < report.floor).lower(),
            "with_default_settings": str(by_default).lower(),
        }
        component = _component(
            ComponentType.CRYPTOGRAPHIC_ASSET,
            f"protocol:{result.interpreter.path}#{versions.name(version)}",
            versions.name(version),
            "",
            [],
            [*_properties(facts), *_several("accepted", (each.case.id for each in cases))],
        )
        component.crypto_properties = CryptoProperties(
            asset_type=CryptoAssetType.PROTOCOL,
            protocol_properties=ProtocolProperties(
                # SSLv3 is no version of TLS.
                type=ProtocolPropertiesType["OTHER" if version == SSL3 else "TLS"],
                version=versions.name(version).rpartition(" ")[2],
                cipher_suites=[
                    ProtocolPropertiesCipherSuite(name=suite)
                    for suite in sorted(filter(_SUITE.fullmatch, suites))
                ],
            ),
        )
        yield component


def _component(
    kind: ComponentType,
    ref: str,
    name: str,
    version: str,
    files: list[tuple[str, str]],
    properties: list[Property],
) -> Component:
    """Return a component; its hash is that of the first file, and the others are properties."""
    url = cpe = None
    if name in KNOWN and _RELEASE.fullmatch(version):
        url_type, url_name, product = KNOWN[name]
        url = PackageURL(url_type, None, url_name, version)
        cpe = f"cpe:2.3:a:{product}:{version}:*:*:*:*:*:*:*" if product else None
    digests = [digest for _, digest in files[:1] if digest]
    others = [f"{path} {digest}".rstrip() for path, digest in files[1:]]
    return Component(
        type=kind,
        bom_ref=printable(ref),
        name=printable(name),
        version=printable(version) or None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in digests],
        purl=url,
        cpe=cpe,
        properties=[*properties, *_several("part", others)],
    )
