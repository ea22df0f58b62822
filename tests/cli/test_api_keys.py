"""api-keys create, list, expire: a key shown once, its hash kept, no life made longer."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ott_extauthz.authn.api_key_form import digest_of, id_in
from ott_extauthz.authn.api_keys import ApiKey, key_behind
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.cli import app
from ott_extauthz.stores.api_key_file import load_api_keys
from tests.cli.conftest import POLICY, Folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "api-keys.yaml"


def run(path: Path, command: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["api-keys", command, "--file", str(path), *words])


def created(path: Path, *words: str) -> str:
    done = run(path, "create", "--client", "rgs", "--expires", "90d", *words)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def test_a_key_is_shown_once_and_kept_as_a_hash(path: Path) -> None:
    done = run(path, "create", "--client", "rgs", "--expires", "90d", "--scope", "wallet:debit", "--scope", "b")
    [text] = done.stdout.splitlines()
    assert done.exit_code == 0
    found = key_behind(text, load_api_keys(path), SystemClock().now_ms())
    assert isinstance(found, ApiKey)
    assert (found.client_id, found.scopes) == ("rgs", frozenset({"wallet:debit", "b"}))
    assert text not in path.read_text() + done.stderr
    assert text.partition(".")[2][:43] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_everything_that_narrows_a_key_is_kept(path: Path) -> None:
    limits = ["--cidr", "10.0.0.0/8", "--cidr", "2001:db8::/32", "--brand", "A", "--certificate", "ab" * 32]
    text = created(path, *limits, "--note", "of the ERP", "--prefix", "acme")
    assert text.startswith("acme_")
    [key] = load_api_keys(path).values()
    assert key.limits is not None
    assert key.limits.cidr is not None
    assert (len(key.limits.cidr), key.limits.brand) == (2, frozenset("A"))
    assert key.certificate == bytes.fromhex("ab" * 32)
    assert key.note == "of the ERP"


def test_a_listing_shows_everything_but_the_hash(path: Path) -> None:
    ids = [id_in(created(path, "--scope", "a")) for _ in range(2)]
    run(path, "expire", str(ids[0]))
    hashes = [key.digest.hex() for key in load_api_keys(path).values()]
    as_json, as_text = run(path, "list", "--json"), run(path, "list")
    rows = json.loads(as_json.stdout)
    assert [(row["id"], row["state"]) for row in rows] == [(ids[0], "expired"), (ids[1], "valid")]
    assert [row["scopes"] for row in rows] == [["a"], ["a"]]
    assert [line.split()[0] for line in as_text.stdout.splitlines()] == ids
    assert not any(each in as_json.output + as_text.output for each in hashes)


def test_a_key_ends_at_once_or_later_but_never_later_than_it_does(path: Path) -> None:
    id_ = str(id_in(created(path)))
    assert run(path, "expire", id_, "--in", "7d").exit_code == 0
    [key] = load_api_keys(path).values()
    assert 6 < (key.expires_at_ms - SystemClock().now_ms()) / 86_400_000 < 7
    for words in (["--in", "8d"], ["--at", "2199-01-01T00:00:00Z"]):
        done = run(path, "expire", id_, *words)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "not made to live longer" in done.stderr
    assert run(path, "expire", id_).exit_code == 0
    [key] = load_api_keys(path).values()
    assert key.is_expired(SystemClock().now_ms())


def test_rotation_is_two_keys_side_by_side(path: Path) -> None:
    old, new = created(path), created(path)
    run(path, "expire", str(id_in(old)), "--in", "7d")
    keys, now_ms = load_api_keys(path), SystemClock().now_ms()
    assert all(isinstance(key_behind(text, keys, now_ms), ApiKey) for text in (old, new))


@pytest.mark.parametrize(
    "words",
    [
        ["--client", "rgs"],
        ["--expires", "90d"],
        ["--client", "rgs", "--expires", "732d"],
        ["--client", "rgs", "--expires", "0s"],
        ["--client", "rgs", "--expires", "forever"],
        ["--client", "r g s", "--expires", "90d"],
        ["--client", "rgs", "--expires", "90d", "--cidr", "10.0.0.1/8"],
        ["--client", "rgs", "--expires", "90d", "--scope", "two words"],
        ["--client", "rgs", "--expires", "90d", "--prefix", "Not_one"],
        ["--client", "rgs", "--expires", "90d", "--certificate", "xyz"],
    ],
)
def test_what_is_asked_for_wrongly_makes_no_key(path: Path, words: list[str]) -> None:
    done = run(path, "create", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert not path.exists()


def test_a_file_that_cannot_be_used_is_told_and_stays_as_it_is(path: Path, tmp_path: Path) -> None:
    path.write_text("keys: [{id: x}]\n")
    for command, words in (("list", []), ("expire", ["x"]), ("create", ["--client", "rgs", "--expires", "1d"])):
        done = run(path, command, *words)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "api-keys.yaml:1" in done.stderr
    assert path.read_text() == "keys: [{id: x}]\n"
    assert run(tmp_path / "missing.yaml", "list").exit_code == 1
    assert run(tmp_path / "no" / "such" / "k.yaml", "create", "--client", "a", "--expires", "1d").exit_code == 1


def test_expire_of_no_key_and_with_two_instants_is_refused(path: Path) -> None:
    created(path)
    assert run(path, "expire", "nobodyskey0").exit_code == 1
    assert run(path, "expire", "nobodyskey0", "--in", "1d", "--at", "2027-01-01T00:00:00Z").exit_code == 2
    assert run(path, "expire", "nobodyskey0", "--at", "tomorrow").exit_code == 2


def test_the_file_and_the_prefix_are_those_of_the_configuration(folder: Folder) -> None:
    policy = POLICY + "  - {name: erp, match: {methods: [GET], path: /erp}, credential: api_key}\n"
    (folder.path / "policy.yaml").write_text(policy)
    settings = 'trust: [{issuer: "https://i.example", jwks: jwks.json, algorithms: [EdDSA]}]\npolicy: policy.yaml\n'
    folder.configure(settings)
    missing = folder.run("config", "check")
    assert missing.returncode == 1
    assert "route erp: asks for an API key, and there could be none" in missing.stderr

    folder.configure(settings + "api_keys: {file: keys/api-keys.yaml, prefix: acme, warn_before: 7d}\n")
    assert "keys/api-keys.yaml: cannot be read" in folder.run("config", "check").stderr
    (folder.path / "keys").mkdir()
    made = folder.run("api-keys", "create", "--client", "rgs", "--expires", "30d", "--json")
    told = json.loads(made.stdout)
    assert told["key"].startswith("acme_")
    digest = digest_of(told["key"]).hex()
    assert digest in (folder.path / "keys" / "api-keys.yaml").read_text()
    assert digest not in made.stdout + made.stderr
    assert "api-keys.yaml" not in folder.run("config", "check").stderr


def test_a_name_that_no_file_can_have_is_no_traceback(tmp_path: Path) -> None:
    done = run(tmp_path / ("x" * 300), "list")
    assert (done.exit_code, type(done.exception)) == (1, SystemExit)
    assert "File name too long" in done.stderr
