"""The bill of materials is the lock's, whole, and the same each time."""

import json
import os
import subprocess
import sys

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.image.sbom import ROOT, pins_from, sbom

LOCK = (ROOT / "requirements" / "service.lock").read_text()
BILL = sbom(LOCK, epoch=None)


def test_it_has_every_package_of_the_lock_with_every_hash() -> None:
    bom = json.loads(BILL)
    told = {
        one["name"]: (one["version"], {each["content"] for each in one["externalReferences"][0]["hashes"]})
        for one in bom["components"]
    }
    # Counted without the reader under test: what is for other systems stands with a marker.
    lines = [line for line in LOCK.splitlines() if "==" in line]
    others = [line for line in lines if "'win32'" in line or "< '3.11.3'" in line]
    assert len(told) == len(lines) - len(others) > 40
    assert sum(len(hashes) for _, hashes in told.values()) > 1000
    for pin in pins_from(LOCK):
        assert told[pin.name] == (pin.version, {*pin.hashes})
        assert f"{pin.name}=={pin.version}" in LOCK


def test_it_is_cyclonedx() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom(LOCK, epoch=1_700_000_000)) is None


def test_it_names_us_what_we_need_and_what_that_needs() -> None:
    bom = json.loads(BILL)
    ours = bom["metadata"]["component"]
    assert ours["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    needs = {one["ref"]: one.get("dependsOn", []) for one in bom["dependencies"]}
    assert any(one.startswith("pkg:pypi/grpcio@") for one in needs[ours["bom-ref"]])
    (yarl,) = [one for one in needs if one.startswith("pkg:pypi/yarl@")]
    assert any(one.startswith("pkg:pypi/multidict@") for one in needs[yarl])
    assert {one["bom-ref"] for one in bom["components"]} | {ours["bom-ref"]} == {*needs}


def test_every_package_tells_its_licence() -> None:
    bom = json.loads(BILL)
    assert [one["name"] for one in bom["components"] if not one.get("licenses")] == []


def test_a_version_that_is_not_installed_has_no_licence_of_another() -> None:
    changed = LOCK.replace("yarl==", "yarl==0.0.", 1)
    (yarl,) = [one for one in json.loads(sbom(changed, epoch=None))["components"] if one["name"] == "yarl"]
    assert "licenses" not in yarl


def test_the_same_lock_makes_the_same_bytes_in_another_process() -> None:
    reading = "sbom(open('requirements/service.lock').read(), epoch=None)"
    code = f"import sys; from tests.image.sbom import sbom; sys.stdout.write({reading})"
    environ = dict(os.environ) | {"PYTHONHASHSEED": "7"}
    other = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    assert other.stdout == BILL
    assert "timestamp" not in json.loads(other.stdout)["metadata"]


def test_another_lock_is_another_bill() -> None:
    changed = LOCK.replace("yarl==", "yarl==0.0.", 1)
    assert json.loads(sbom(changed, epoch=None))["serialNumber"] != json.loads(BILL)["serialNumber"]


@pytest.mark.parametrize(
    ("epoch", "told"), [(0, "1970-01-01T00:00:00+00:00"), (1_700_000_000, "2023-11-14T22:13:20+00:00")]
)
def test_the_time_is_source_date_epoch(epoch: int, told: str) -> None:
    assert json.loads(sbom(LOCK, epoch=epoch))["metadata"]["timestamp"] == told
