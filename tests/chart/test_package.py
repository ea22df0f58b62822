"""What is shipped besides the templates."""

import base64
import tomllib
from pathlib import Path

import helm_python
import yaml

from tests.architecture.documents import ROOT, blocks
from tests.chart.readme import README
from tests.chart.rendering import CHART, problems

ABOUT = yaml.safe_load((CHART / "Chart.yaml").read_text())


def test_the_chart_installs_the_program_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert ABOUT["appVersion"] == version
    (image,) = yaml.safe_load(ABOUT["annotations"]["artifacthub.io/images"])
    assert image["image"] == f"ott-extauthz:{version}"


def test_annotations_are_texts_that_can_be_read() -> None:
    """Artifact Hub takes texts alone, and YAML inside some of them."""
    assert all(isinstance(text, str) for text in ABOUT["annotations"].values())
    assert yaml.safe_load(ABOUT["annotations"]["artifacthub.io/changes"])[0].keys() == {"kind", "description"}
    assert ABOUT["annotations"]["artifacthub.io/category"] == "security"


def test_the_icon_is_the_file_beside_it() -> None:
    kind, _, data = ABOUT["icon"].partition("base64,")
    assert kind == "data:image/svg+xml;"
    assert base64.b64decode(data) == (CHART / "icon.svg").read_bytes()


def test_the_licence_is_the_projects() -> None:
    assert (CHART / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_a_package_has_what_installs_and_not_what_tests(tmp_path: Path) -> None:
    with helm_python.Chart.load(str(CHART)) as chart, helm_python.Chart.load(chart.save(str(tmp_path))) as packed:
        files = {one["name"] for one in packed.files}
        assert packed.schema is not None
        assert {one["name"] for one in packed.templates} == {one["name"] for one in chart.templates}
    assert {"README.md", "LICENSE"} <= files
    assert not [name for name in files if name.startswith("ci/")]


def test_what_the_readme_shows_installs() -> None:
    (shown,), (more,) = blocks(README, "yaml"), blocks(README, "values")
    assert problems(yaml.safe_load(shown), needed={}) == ""
    assert problems(yaml.safe_load(shown) | yaml.safe_load(more), needed={}) == ""
