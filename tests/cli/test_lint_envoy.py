"""`ott-extauthz lint-envoy` as a pipeline runs it: its exit codes, its three outputs, its mistakes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ott_extauthz.cli import app
from tests.cli.conftest import Folder

SHIPPED = Path(__file__).parents[2] / "envoy" / "envoy.yaml"
POLICY = """
routes:
  - {name: health, match: {methods: [GET], path: /healthz}, credential: public}
  - name: report
    match: {methods: [GET], path: /report}
    credential: access_token
    audience: wallet.api
    bound_to: [certificate]
"""


@pytest.fixture
def envoy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "envoy.yaml"
    path.write_text(SHIPPED.read_text())
    return path


def _break(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _lint(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["lint-envoy", *arguments])


def test_what_we_ship_passes_as_a_process_of_its_own(folder: Folder) -> None:
    done = folder.run_apart("lint-envoy", str(SHIPPED.parent / "envoy.yaml"), str(SHIPPED.parent / "attach.yaml"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 documents: 0 errors, 0 warnings, 0 notes\n"


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ("failure_mode_allow: false", "failure_mode_allow: true", {"error": 1, "warning": 1, "note": 1}),
        ("merge_slashes: true", "merge_slashes: false", {"error": 0, "warning": 1, "note": 1}),
        ("status_on_error: {code: ServiceUnavailable}", "stat_prefix: ott2", {"error": 0, "warning": 0, "note": 1}),
    ],
    ids=["error", "warning", "note"],
)
def test_fail_on_says_from_where_on_it_fails(envoy: Path, old: str, new: str, codes: dict[str, int]) -> None:
    if new == "stat_prefix: ott2":
        _break(envoy, "                      stat_prefix: ott\n", "")
    _break(envoy, old, new)
    for fail_on, code in codes.items():
        assert _lint("envoy.yaml", "--fail-on", fail_on).exit_code == code, fail_on
    assert _lint("envoy.yaml").exit_code == codes["warning"]


def test_json_and_sarif_are_printed_alone_and_fail_the_same(envoy: Path) -> None:
    _break(envoy, "failure_mode_allow: false", "failure_mode_allow: true")
    plain, sarif = _lint("envoy.yaml", "--json"), _lint("envoy.yaml", "--sarif")
    assert plain.exit_code == sarif.exit_code == 1
    assert [each["rule"] for each in json.loads(plain.stdout)["findings"]] == ["failure-mode-allow"]
    assert json.loads(sarif.stdout)["runs"][0]["results"][0]["ruleId"] == "failure-mode-allow"
    assert _lint("envoy.yaml", "--json", "--sarif").exit_code == 2


def test_a_rule_is_ignored_with_its_reason(envoy: Path) -> None:
    _break(envoy, "merge_slashes: true", "merge_slashes: false")
    done = _lint("envoy.yaml", "--ignore", "merge-slashes=the upstream = strict")
    assert done.exit_code == 0
    assert "ignored: merge-slashes, 1 time: the upstream = strict" in done.stdout


def test_a_rule_that_there_is_not_cannot_be_ignored(envoy: Path) -> None:
    assert envoy.exists()
    done = _lint("envoy.yaml", "--ignore", "merge-slashs")
    assert done.exit_code == 2
    assert "did you mean merge-slashes" in " ".join(done.output.replace("│", "").split())
    assert "docs/lint-envoy.md" in _lint("envoy.yaml", "--ignore", "zzz").output


def test_a_template_is_called_one(envoy: Path) -> None:
    (envoy.parent / "route.yaml").write_text("kind: Service\nmetadata: {{ include }}\n")
    done = _lint("route.yaml")
    assert done.exit_code == 2
    assert done.stderr.startswith("route.yaml:2:12: ")
    assert done.stderr.endswith("; is this a template? render it first\n")


@pytest.mark.parametrize("source", ["absent.yaml", "policy.yaml", "http://127.0.0.1:1", "https://[", "x" * 300])
def test_what_cannot_be_read_is_2_and_never_fine(envoy: Path, source: str) -> None:
    (envoy.parent / "policy.yaml").write_text(POLICY)
    done = _lint("envoy.yaml", source)
    assert done.exit_code == 2
    assert source in done.stderr
    assert done.stdout == ""


def test_the_policy_says_which_routes_are_suspect(envoy: Path) -> None:
    _break(envoy, "route: {cluster: service, timeout: 15s}", "route: {cluster: service, retry_policy: {retry_on: 5xx}}")
    assert _lint("envoy.yaml").exit_code == 1
    (envoy.parent / "policy.yaml").write_text(POLICY)
    (envoy.parent / "ott.yaml").write_text("policy: policy.yaml\n")
    assert _lint("envoy.yaml", "-c", "ott.yaml").exit_code == 0
    (envoy.parent / "policy.yaml").write_text("routes: [{nme: a}]\n")
    done = _lint("envoy.yaml", "-c", "ott.yaml")
    assert (done.exit_code, "did you mean" in done.stderr) == (2, True)


def test_the_version_is_the_users_word_where_nothing_says_it(envoy: Path) -> None:
    assert envoy.exists()
    assert _lint("envoy.yaml", "--envoy-version", "1.38.3").exit_code == 1
    assert _lint("envoy.yaml", "--envoy-version", "1.38.4").exit_code == 0
    assert _lint("envoy.yaml", "--envoy-version", "new").exit_code == 2


def test_another_cluster_is_asked_by_nobody(envoy: Path) -> None:
    assert envoy.exists()
    assert "no-ext-authz" in _lint("envoy.yaml", "--cluster", "opa").stdout


def test_a_folders_other_files_are_named_and_left(envoy: Path) -> None:
    (envoy.parent / "values.yaml").write_text("replicas: 1\n")
    done = _lint(".")
    assert done.exit_code == 0
    assert "values.yaml: skipped" in done.stderr
