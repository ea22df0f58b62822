"""`ott-extauthz policy` as its user meets it: real files, no server, no store, no network."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from ott_extauthz.cli import app
from tests.cli.conftest import Folder

POLICY = """revision: "r1"
routes:
  - name: debit
    match: {hosts: [wallet.api], methods: [POST], path: /debit}
    credential: one_time_token
    audience: wallet.api
    bound_to: []
    unbound: accept the risk
"""
CASES = """policy: policy.yaml
defaults:
  request: {method: POST, host: wallet.api, path: /debit}
  token: {claims: {sub: s, client_id: rgs, aud: wallet.api}}
cases:
  - {name: once, expect: {code: OK}}
  - {name: twice, store: spent, expect: {reason: token_replayed}}
"""
RECORDED = {
    "attributes": {
        "source": {"address": {"socketAddress": {"address": "10.0.0.1", "portValue": 4}}},
        "request": {
            "time": "2026-01-01T12:00:00Z",
            "http": {"id": "7", "method": "POST", "scheme": "https", "host": "wallet.api", "path": "/debit"},
        },
    }
}


@pytest.fixture
def offline(tmp_path: Path) -> Folder:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "cases.yaml").write_text(CASES)
    return Folder(tmp_path)


def test_cases_that_come_out_as_expected_exit_with_0(offline: Folder) -> None:
    done = offline.run("policy", "test", "cases.yaml", "--junit", "out.xml")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "cases.yaml: 2 cases, 0 failed")
    assert ET.parse(offline.path / "out.xml").getroot().find("testsuite").get("failures") == "0"  # type: ignore[union-attr] # noqa: S314 - our own file


def test_a_mistake_in_the_policy_is_caught_and_shown(offline: Folder) -> None:
    (offline.path / "policy.yaml").write_text(POLICY.replace("[POST]", "[PUT]"))
    done = offline.run_apart("policy", "test", "cases.yaml", "--junit", "out.xml")
    assert done.returncode == 1
    assert "- code: OK" in done.stdout
    assert "+ code: ROUTE_UNKNOWN" in done.stdout
    assert 'other methods: ["PUT: debit"]' in done.stdout
    assert ET.parse(offline.path / "out.xml").getroot().find("testsuite").get("failures") == "2"  # type: ignore[union-attr] # noqa: S314 - our own file
    as_json = json.loads(offline.run("policy", "test", "cases.yaml", "--json").stdout)
    assert as_json[0]["cases"][0]["differences"][0] == {"what": "code", "expected": "OK", "seen": "ROUTE_UNKNOWN"}


def test_check_tells_every_problem_of_every_file(offline: Folder) -> None:
    (offline.path / "bad.yaml").write_text("revision: r\nroutes: [{nme: a}]\n")
    done = offline.run("policy", "check", "policy.yaml", "bad.yaml", "missing.yaml")
    assert done.returncode == 1
    assert "policy.yaml: fine; revision r1 with 1 route" in done.stdout
    assert "did you mean 'name'?" in done.stdout
    assert "missing.yaml: cannot be read" in done.stdout


def test_check_names_every_route_that_enforces_nothing(offline: Folder) -> None:
    (offline.path / "policy.yaml").write_text(f"{POLICY}    mode: shadow\n")
    done = offline.run("policy", "check", "policy.yaml")
    assert (done.returncode, "policy.yaml: route debit is in shadow and enforces nothing" in done.stdout) == (0, True)


def test_explain_one_case_by_name(offline: Folder) -> None:
    done = offline.run("policy", "explain", "cases.yaml", "--case", "twice", "--json")
    (found,) = json.loads(done.stdout)
    assert (found["name"], found["reason"]) == ("twice", "token_replayed")
    assert "there are: once, twice" in offline.run("policy", "explain", "cases.yaml", "--case", "three").stderr


def test_explain_a_recorded_check_request(offline: Folder) -> None:
    (offline.path / "request.json").write_text(json.dumps(RECORDED))
    done = offline.run("policy", "explain", "request.json", "--policy", "policy.yaml")
    assert "REFUSED: credential_missing" in done.stdout
    assert "signatures are not verified" in done.stderr
    (offline.path / "request.json").write_text('{"attributes": 7}')
    done = offline.run("policy", "explain", "request.json", "--policy", "policy.yaml")
    assert (done.returncode, "not a CheckRequest in JSON" in done.stderr) == (1, True)


def test_explain_a_decision_that_the_audit_holds(offline: Folder) -> None:
    line = {"decision_id": "abc", "outcome": "deny", "reason": "token_replayed", "route": "debit", "host": "\x1b[2J",
            "policy_revision": "r0", "first_decision_id": "xyz"}  # fmt: skip
    audit = offline.path / "audit"
    audit.mkdir()
    (audit / "decisions-a.jsonl").write_text(f"torn\n{json.dumps(line)}\n")
    done = offline.run("policy", "explain", "--decision", "abc", "--audit", "audit", "--policy", "policy.yaml")
    assert "token_replayed: The token was spent before." in done.stdout
    assert "first_decision_id: xyz" in done.stdout
    assert "another one than decided" in done.stdout
    assert "\x1b" not in done.stdout
    assert offline.run("policy", "explain", "--decision", "abd", "--audit", "audit").returncode == 1


def test_a_decision_is_found_in_a_rotated_file_and_in_no_packed_one(offline: Folder) -> None:
    audit = offline.path / "audit"
    audit.mkdir()
    (audit / "decisions-a.jsonl").touch()
    (audit / "decisions-a.jsonl.2").write_text('{"decision_id": "abc", "outcome": "allow"}\n')
    (audit / "decisions-a.jsonl.gz").write_text('{"decision_id": "abd"}\n')
    assert "allow" in offline.run("policy", "explain", "--decision", "abc", "--audit", "audit").stdout
    assert offline.run("policy", "explain", "--decision", "abd", "--audit", "audit").returncode == 1


def test_diff_says_what_a_new_policy_would_change(offline: Folder) -> None:
    (offline.path / "new.yaml").write_text(POLICY.replace("/debit", "/debits"))
    line = {"decision_id": "abc", "outcome": "allow", "method": "POST", "host": "wallet.api", "path": "/debit"}
    (offline.path / "audit.jsonl").write_text(json.dumps(line) + "\n")
    done = offline.run("policy", "diff", "policy.yaml", "new.yaml", "--recorded", "audit.jsonl")
    assert done.returncode == 1
    assert "abc changes: POST wallet.api/debit: allowed -> route_unknown" in done.stdout
    same = offline.run("policy", "diff", "policy.yaml", "policy.yaml", "--recorded", "audit.jsonl")
    assert (same.returncode, same.stdout) == (0, "1 stay, 0 change, 0 may change, 0 lines unreadable\n")


@pytest.mark.parametrize("content", ["", "not an audit\n", '{"decision_id": "abc", "shadow_outcome": "allow"}\n'])
def test_an_audit_without_decisions_does_not_pass_for_one_in_which_nothing_changes(
    offline: Folder, content: str
) -> None:
    """In a pipeline the wrong file would let every policy through."""
    (offline.path / "audit.jsonl").write_text(content)
    for more in ([], ["--json"]):
        done = offline.run("policy", "diff", "policy.yaml", "policy.yaml", "--recorded", "audit.jsonl", *more)
        assert (done.returncode, done.stderr) == (1, "audit.jsonl: no decision in it to compare\n")


def test_usage_mistakes_exit_with_2(offline: Folder) -> None:
    assert offline.run("policy", "explain").returncode == 2
    assert offline.run("policy", "explain", "--decision", "abc").returncode == 2
    assert offline.run("policy", "explain", "cases.yaml", "--policy", "policy.yaml", "--at", "now").returncode == 2


BAD_CASES = {
    "empty": b"",
    "binary": bytes(range(256)),
    "latin": "policy: é".encode("latin-1"),
    "deep": b"policy: " + b"[" * 100_000,
    "no policy": CASES.partition("\n")[2].encode(),
    "nothing": b"cases: []\n",
    "nul": CASES.replace("policy.yaml", '"a\\0b"').encode(),
    "itself": CASES.replace("policy.yaml", "cases.yaml").encode(),
    "a folder without a policy": CASES.replace("policy.yaml", "empty").encode(),
    "a circle": CASES.replace("policy.yaml", "circle").encode(),
    "no end": CASES.replace("policy.yaml", "/dev/zero").encode(),
}


def test_no_bad_input_is_a_traceback(offline: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process: what would be a traceback is an exception here, and forty processes would take minutes."""
    monkeypatch.chdir(offline.path)
    (offline.path / "empty").mkdir()
    (offline.path / "circle").symlink_to("circle")
    for name, content in BAD_CASES.items():
        (offline.path / "bad.yaml").write_bytes(content)
        assert (name, *said("policy", "test", "bad.yaml", "--json", "--junit", "out.xml")) == (name, 1, True)
    for what in ("empty", "circle", "missing", "/dev/zero"):
        for command in (
            ("test", what), ("explain", what), ("check", what), ("explain", what, "--policy", "policy.yaml"),
            ("diff", what, "policy.yaml", "--recorded", "policy.yaml"),
        ):  # fmt: skip
            assert (command, *said("policy", *command)) == (command, 1, True)
    for what in ("empty", "circle", "missing"):
        command = ("explain", "--decision", "abc", "--audit", what)
        assert (command, *said("policy", *command)) == (command, 1, True)


def said(*command: str) -> tuple[int, bool]:
    """Return how a command ended, and whether it said anything."""
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, SystemExit), (command, done.exception)
    return done.exit_code, bool(done.output.strip())


def test_torn_lines_cost_no_other_line_of_an_audit(offline: Folder) -> None:
    line = {"decision_id": "abc", "outcome": "allow", "method": "POST", "host": "wallet.api", "path": "/debit"}
    whole = json.dumps(line).encode()
    torn = [b"\xc3", whole[:-9], b"", b"[" * 100_000, b"[]", b"x" * 3_000_000, b'{"decision_id": "\xe2\x80']
    (offline.path / "audit.jsonl").write_bytes(b"\n".join([whole, *torn, whole]))
    done = offline.run("policy", "diff", "policy.yaml", "policy.yaml", "--recorded", "audit.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 stay, 0 change, 0 may change, ")
    told = offline.run("policy", "explain", "--decision", "abc", "--audit", "audit.jsonl", "--json")
    assert json.loads(told.stdout)["decision"] == line
    (offline.path / "audit.jsonl").write_text(json.dumps(line | {"reason": ["\x1b[2J"], "outcome": "\x1b[2J"}))
    told = offline.run("policy", "explain", "--decision", "abc", "--audit", "audit.jsonl", "--policy", "policy.yaml")
    assert (told.returncode, "\x1b" in told.stdout) == (0, False)
