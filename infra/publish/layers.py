"""The layers: their names, what they are for, and what is to be done about each.

Nothing here asks AWS. A layer whose newest version has the same hash is kept, so
publishing twice makes one version, and publishing again completes what was broken off.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.publish.options import ARCHITECTURES, EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from infra.publish.options import Options

LICENCE = "Apache-2.0"
# Lambda takes 15 at most. They are what its console filters by, and bind nobody: the
# layer works with the older ones too.
ANY_RUNTIME = (
    "nodejs20.x",
    "nodejs22.x",
    "nodejs24.x",
    "python3.11",
    "python3.12",
    "python3.13",
    "python3.14",
    "java17",
    "java21",
    "java25",
    "dotnet8",
    "ruby3.3",
    "ruby3.4",
    "provided.al2",
    "provided.al2023",
)
PYTHON_RUNTIMES = ("python3.12", "python3.13", "python3.14")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, as Lambda knows it."""

    name: str
    flavour: str
    architectures: tuple[str, ...]
    runtimes: tuple[str, ...]


LAYERS = (
    Layer("rotaware-x86-64", "any", ("x86_64",), ANY_RUNTIME),
    Layer("rotaware-arm64", "any", ("arm64",), ANY_RUNTIME),
    Layer("rotaware-python", "python", ARCHITECTURES, PYTHON_RUNTIMES),
)


@dataclass(frozen=True, slots=True)
class Archive:
    """What a layer holds: its zip."""

    data: bytes

    @property
    def code_sha256(self) -> str:
        """Its hash as Lambda gives it."""
        return base64.b64encode(hashlib.sha256(self.data).digest()).decode()

    @property
    def digest(self) -> str:
        """Its hash as ``sha256sum`` gives it."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Found:
    """A layer's newest version in a Region."""

    arn: str
    code_sha256: str


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about a layer in a Region.

    Attributes:
        layer: Which.
        archive: What it shall hold.
        arn: The version that holds just that already, or None.
        principals: With whom this version is still to be shared.
    """

    layer: Layer
    archive: Archive
    arn: str | None
    principals: tuple[str, ...]


def chosen(options: Options) -> Iterator[Layer]:
    """The layers that the options name."""
    for layer in LAYERS:
        serves = set(layer.architectures) & set(options.architectures)
        if layer.flavour in options.flavours and serves:
            yield layer


def archive_name(layer: Layer, own: str) -> str:
    """The zip that the build makes for a layer on a machine of architecture ``own``."""
    if layer.flavour == "python":
        return "layer-python.zip"
    (architecture,) = layer.architectures
    return "layer.zip" if architecture == own else f"layer-{architecture}.zip"


def step(
    layer: Layer,
    archive: Archive,
    found: Found | None,
    wanted: Iterable[str],
    principals_of: Callable[[str], Collection[str]],
) -> Step:
    """What is to be done, given what is there.

    Args:
        layer: Which.
        archive: What it shall hold.
        found: Its newest version, if there is one.
        wanted: With whom it is to be shared.
        principals_of: Tells with whom a version is shared; asked only if need be.
    """
    wanted = tuple(wanted)
    if found is None or found.code_sha256 != archive.code_sha256:
        return Step(layer, archive, None, wanted)
    principals = principals_of(found.arn) if wanted else ()
    if EVERYBODY in principals:
        return Step(layer, archive, found.arn, ())
    lacking = tuple(each for each in wanted if each not in principals)
    return Step(layer, archive, found.arn, lacking)


def request(layer: Layer, archive: Archive, version: str) -> Mapping[str, object]:
    """What PublishLayerVersion is told."""
    return {
        "LayerName": layer.name,
        "Description": f"rotaware {version}, sha256 {archive.digest}",
        "Content": {"ZipFile": archive.data},
        "CompatibleArchitectures": list(layer.architectures),
        "CompatibleRuntimes": list(layer.runtimes),
        "LicenseInfo": LICENCE,
    }


def statement_id(principal: str) -> str:
    """What the permission is called in the version's policy."""
    return "everybody" if principal == EVERYBODY else f"account-{principal}"
