"""`keys rotate` and `keys retire`: what is done, when the next step comes, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ott_extauthz.cli import app

SECRET = "a passphrase nobody shall see"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "passphrase").write_text(SECRET)
    (tmp_path / "passphrase").chmod(0o600)
    configure(tmp_path, "rings: {eu-a: {directory: eu, passphrase_file: passphrase}}")
    keys("init")
    keys("init", "--ring", "eu-a")
    return tmp_path


def configure(folder: Path, more: str) -> None:
    (folder / "ott.yaml").write_text(f"issuer: {{url: 'https://i', {more}}}\n")


def run(*words: str) -> Result:
    result = CliRunner().invoke(app, ["keys", *words])
    assert SECRET not in result.output
    assert "BEGIN" not in result.output
    return result


def keys(*words: str) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.output


def listed(*words: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(keys("list", "--json", *words))
    return rows


def refused(*words: str) -> str:
    result = run(*words)
    assert result.exit_code == 1, result.output
    return result.output


def test_the_listing_has_every_ring_and_when_the_next_step_comes(folder: Path) -> None:
    assert [(row["ring"], row["state"], row["due"]) for row in listed()] == [
        ("default", "active", None),
        ("eu-a", "active", None),
    ]
    (row,) = listed("--ring", "eu-a")
    assert list(row) == ["kid", "algorithm", "state", "created", "ring", "since", "due"]
    assert row["kid"] in keys("list")
    configure(folder, "rotation: {every: 30d}")
    (row,) = listed()
    assert row["due"] > row["since"]


def test_a_ring_that_lives_elsewhere_hides_no_other_one(folder: Path) -> None:
    vault = "{vault: {address: 'https://127.0.0.1:1', key: k, login: {token_file: t}}}"
    configure(folder, f"keys: {vault}, rings: {{eu-a: {{directory: eu, passphrase_file: passphrase}}}}")
    result = run("list", "--json")
    assert [row["ring"] for row in json.loads(result.stdout)] == ["eu-a"]
    assert result.stderr == "not listed, for their keys live elsewhere: default\n"
    assert "live elsewhere" in refused("list", "--ring", "default")


def test_rotating_says_when_each_step_happens_and_again_is_the_same_rotation(folder: Path) -> None:
    (old,) = listed("--ring", "default")
    said = keys("rotate")
    old, following = listed("--ring", "default")
    assert f"default: {following['kid']} (EdDSA) is next now: it signs from {following['due']} on" in said
    assert "a running issuer takes these steps" in said
    assert (old["state"], following["state"]) == ("active", "next")
    assert f"{following['kid']} (EdDSA) stays next: it signs from {following['due']} on" in keys("rotate")
    assert len(listed("--ring", "default")) == 2
    assert len(listed("--ring", "eu-a")) == 1


def test_an_emergency_signs_with_a_new_key_at_once_and_keeps_the_old_tokens_good(folder: Path) -> None:
    said = keys("rotate", "--now", "--ring", "eu-a", "--algorithm", "ES256")
    old, new = listed("--ring", "eu-a")
    assert (old["state"], new["state"], new["algorithm"]) == ("retiring", "active", "ES256")
    assert f"{old['kid']} (EdDSA) is retiring now: it signs no more, and stays published until {old['due']}" in said
    assert all(path.read_bytes().startswith(b"-----BEGIN ENCRYPTED") for path in (folder / "eu").glob("*.pem"))


def test_a_compromised_key_is_gone_at_once(folder: Path) -> None:
    (old,) = listed("--ring", "default")
    rows = json.loads(keys("retire", old["kid"], "--json"))
    assert [row["state"] for row in rows] == ["retired", "active"]
    assert old["kid"] not in (folder / "keys/jwks.json").read_text()
    assert not (folder / f"keys/signing-{old['kid']}.pem").exists()
    said = keys("rotate", "--now")
    assert rows[1]["kid"] in said
    assert "retired already" in refused("retire", old["kid"])
    assert "no key of the ring" in refused("retire", "x")


@pytest.mark.parametrize("command", [["rotate"], ["rotate", "--now"], ["retire", "x"], ["init"]])
def test_a_read_only_ring_is_left_alone_with_a_clear_message(folder: Path, command: list[str]) -> None:
    configure(folder, "read_only: true")
    before = (folder / "keys/ring.json").read_bytes()
    assert "configured as read_only" in refused(*command)
    assert (folder / "keys/ring.json").read_bytes() == before
    assert len(listed()) == 1


def test_a_ring_that_is_not_there_is_told(folder: Path) -> None:
    for command in (["rotate"], ["retire", "x"], ["list"], ["init"]):
        assert "issuer.rings: no ring us" in refused(*command, "--ring", "us")
    assert "no ring" in refused("rotate", "--ring", "")
    configure(folder, "keys: nowhere")
    assert "ring.json: is missing; make one with `ott-extauthz keys init`" in refused("rotate")


@pytest.mark.parametrize("wrong", ["", "other"])
def test_a_wrong_passphrase_rotates_nothing_in_the_clear(folder: Path, wrong: str) -> None:
    keys("rotate", "--ring", "eu-a")
    (folder / "passphrase").write_text(wrong)
    assert "passphrase" in refused("rotate", "--now", "--ring", "eu-a")
    assert [row["state"] for row in listed("--ring", "eu-a")] == ["active", "next"]


def test_no_key_is_made_with_an_algorithm_that_is_not_there(folder: Path) -> None:
    assert run("rotate", "--algorithm", "HS256").exit_code == 2
    assert len(listed("--ring", "default")) == 1
