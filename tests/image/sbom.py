"""What is in the image, by whom, under which licence?  A CycloneDX bill of materials of the lock file.

The same lock makes the same bytes: the serial number is a digest of it, and there is no time but SOURCE_DATE_EPOCH.
Licences are those that the packages themselves tell, read where the very version is installed.
"""

import json
import re
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
_PIN: Final = re.compile(r"^(\S+==[^\\\n]+?)\s*((?:\\\n\s+--hash=sha256:[0-9a-f]{64}\s*?)+)$", re.MULTILINE)
_HASH: Final = re.compile(r"sha256:([0-9a-f]{64})")
_CLASSIFIER: Final = "License :: OSI Approved :: "
_LINUX: Final = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
_LONGEST_NAME: Final = 64


@dataclass(frozen=True)
class Pin:
    """One package of the lock: what is installed, and the files that may be."""

    name: str
    version: str
    hashes: tuple[str, ...]


def pins_from(lock: str) -> list[Pin]:
    """Return what the lock installs on Linux."""
    found = []
    for requirement, hashes in _PIN.findall(lock):
        read = Requirement(requirement)
        if read.marker is None or read.marker.evaluate(dict(_LINUX)):
            (specifier,) = read.specifier
            found.append(Pin(canonicalize_name(read.name), specifier.version, tuple(_HASH.findall(hashes))))
    return found


def sbom(lock: str, *, epoch: int | None) -> str:
    """Return the bill of materials of a lock, of this project."""
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"urn:ott-extauthz:{lock}"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ours = _component(project["name"], project["version"], ComponentType.APPLICATION)
    ours.licenses.add(LicenseFactory().make_from_string(project["license"]))
    bom.metadata.component = ours
    packages = {pin.name: _package(pin) for pin in pins_from(lock)}
    bom.components.update(packages.values())
    bom.register_dependency(ours, _named(packages, project["dependencies"]))
    for name, package in packages.items():
        bom.register_dependency(package, _named(packages, _needs(name, package.version or "")))
    return _without_chance(JsonV1Dot6(bom).output_as_string(), epoch)


def _package(pin: Pin) -> Component:
    made = _component(pin.name, pin.version, ComponentType.LIBRARY)
    made.external_references.add(
        ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION,
            url=XsUri(f"pkg:pypi/{pin.name}@{pin.version}"),
            comment="one of the files that the lock takes",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in pin.hashes],
        )
    )
    found = _installed(pin.name, pin.version)
    if found is not None and (licence := _licence(found)):
        made.licenses.add(licence)
    return made


def _component(name: str, version: str, kind: ComponentType) -> Component:
    purl = PackageURL("pypi", name=name, version=version)
    return Component(name=name, version=version, type=kind, purl=purl, bom_ref=purl.to_string())


def _installed(name: str, version: str) -> Distribution | None:
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    return found if found.version == version else None


def _licence(found: Distribution) -> License | None:
    """Return the package's own word: an SPDX expression, else its classifiers, else a short name."""
    told: Mapping[str, Any] = found.metadata.json
    classified = [one.removeprefix(_CLASSIFIER) for one in told.get("classifier", ()) if one.startswith(_CLASSIFIER)]
    words = [told.get("license_expression"), " OR ".join(classified), told.get("license")]
    for word in words:
        if word and len(word) <= _LONGEST_NAME and "\n" not in word:
            return LicenseFactory().make_from_string(word)
    return None


def _needs(name: str, version: str) -> list[str]:
    found = _installed(name, version)
    return [] if found is None else list(found.requires or ())


def _named(packages: Mapping[str, Component], requirements: list[str]) -> Iterator[Component]:
    for text in requirements:
        read = Requirement(text)
        if (read.marker is None or "extra" not in str(read.marker)) and (
            name := canonicalize_name(read.name)
        ) in packages:
            yield packages[name]


def _without_chance(text: str, epoch: int | None) -> str:
    tree = json.loads(text)
    tree["metadata"].pop("timestamp", None)
    if epoch is not None:
        tree["metadata"]["timestamp"] = datetime.fromtimestamp(epoch, UTC).isoformat()
    return json.dumps(tree, indent=2, sort_keys=True) + "\n"
