"""What a layer is made of, as CycloneDX 1.6: each component, and each of its files.

The same layer gives the same bytes: there is no serial number, and no date. OpenSSL
and the compiler's runtime lie inside the interpreter's one file, so they have none of
their own.
"""

from __future__ import annotations

import hashlib
import json
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomllib

from infra.artifacts import content

if TYPE_CHECKING:
    from collections.abc import Mapping

DEBIAN_NAMES = {"python": "python3.13", "openssl": "openssl"}
RUNTIME = "compiler-rt"
# Where a component's files lie in the layer; all others are our own.
PLACES = {
    "rotaware/bin/": "python",
    "rotaware/lib/": "python",
    "rotaware/cachetools/": "cachetools",
    "rotaware/yaml/": "PyYAML",
}


def sbom(
    layer: Path, archive: Path, vendored: Path, pins: Mapping[str, Any] | None
) -> str:
    """The SBOM of one layer.

    Args:
        layer: Its folder.
        archive: Its zip.
        vendored: Where the packages from PyPI were installed.
        pins: What the interpreter is made of; None where the layer has none.
    """
    own = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    described = {
        "type": "application",
        "bom-ref": own["name"],
        "name": own["name"],
        "version": own["version"],
        "licenses": [{"expression": own["license"]}],
        "hashes": [_sha256(archive.read_bytes())],
    }
    files = {name: data for name, (_, data) in content(layer).items()}
    components = [_package(info) for info in sorted(vendored.glob("*.dist-info"))]
    if pins is not None:
        components += [_source(name, pins[name]) for name in DEBIAN_NAMES]
        components.append(_runtime(pins["toolchain"]))
    for component in components:
        component["components"] = _files(files, component["name"])
    components += _files(files, own["name"])
    names = [each["bom-ref"] for each in components if each["type"] != "file"]
    inside = ["openssl", RUNTIME]
    linked = [{"ref": "python", "dependsOn": inside}] if pins is not None else []
    return json.dumps(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {"component": described},
            "components": components,
            "dependencies": [{"ref": own["name"], "dependsOn": names}, *linked],
        },
        indent=1,
    )


def _package(info: Path) -> dict[str, Any]:
    """A package from PyPI, as its own metadata describe it."""
    metadata = HeaderParser().parsestr((info / "METADATA").read_text())
    name, version = metadata["Name"], metadata["Version"]
    licence = metadata["License-Expression"] or metadata["License"]
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "version": version,
        "licenses": [{"expression": licence}],
        "purl": f"pkg:pypi/{name.lower()}@{version}",
    }


def _source(name: str, pins: Mapping[str, Any]) -> dict[str, Any]:
    """A program compiled from Debian's source."""
    version, revision = pins["version"], pins["debian_revision"]
    debian = f"{version}-{revision}".replace("+", "%2B").replace("~", "%7E")
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "version": f"{version}-{revision}",
        "licenses": [{"expression": pins["licence"]}],
        "cpe": f"cpe:2.3:a:{name}:{name}:{version}:*:*:*:*:*:*:*",
        "purl": f"pkg:deb/debian/{DEBIAN_NAMES[name]}@{debian}?arch=source",
        "externalReferences": [
            {
                "type": "source-distribution",
                "url": f"http://deb.debian.org/{pins['folders'][0]}/{file}",
                "hashes": [{"alg": "SHA-256", "content": sha256}],
            }
            for file, sha256 in pins["sha256"].items()
        ],
    }


def _runtime(pins: Mapping[str, Any]) -> dict[str, Any]:
    """What the compiler links into every program."""
    package, version = pins["package"], pins["version"]
    return {
        "type": "library",
        "bom-ref": RUNTIME,
        "name": RUNTIME,
        "version": version,
        "description": f"Arithmetic and memory functions, as {package} has them",
        "licenses": [{"expression": pins["licence"]}],
        "purl": f"pkg:pypi/{package}@{version}",
    }


def _files(files: Mapping[str, bytes], component: str) -> list[dict[str, Any]]:
    return [
        {"type": "file", "bom-ref": name, "name": name, "hashes": [_sha256(data)]}
        for name, data in sorted(files.items())
        if _component(name) == component
    ]


def _component(name: str) -> str:
    found = (owner for place, owner in PLACES.items() if name.startswith(place))
    return next(found, "rotaware")


def _sha256(data: bytes) -> dict[str, str]:
    return {"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}
