"""``config check`` of an issuer's file: every mistake with its place, without a private key."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ott_extauthz.cli import app
from tests.issuer_bank import CLIENTS, Bank


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bank:
    monkeypatch.chdir(tmp_path)
    return Bank(tmp_path).prepare()


def check(code: int) -> str:
    result = CliRunner().invoke(app, ["config", "check"])
    assert result.exit_code == code, result.output
    return result.output


def test_an_issuer_is_judged_without_its_private_keys(bank: Bank) -> None:
    for path in (bank.folder / "keys").glob("*.pem"):
        path.unlink()
    assert "fine; an issuer with 2 clients" in check(0)


def test_every_mistake_is_told_with_its_place(bank: Bank) -> None:
    (bank.folder / "clients.yaml").write_text(CLIENTS.replace("dns:", "cn:"))
    (bank.folder / "keys" / "ring.json").unlink()
    (bank.folder / "server-key.pem").chmod(0o644)
    text = (bank.folder / "ott.yaml").read_text().replace("ca.pem}}", "ca.pem}, encryption: {wallet.api: none.json}}")
    (bank.folder / "ott.yaml").write_text(text + "tracing: {endpoint: 'https://c:4317', ca: none.pem}\n")
    shown = check(1)
    wanted = (
        "clients.yaml:10:",
        "ring.json: is missing",
        "server-key.pem: a secret readable",
        "none.json: cannot be",
        "tracing.ca:",
    )
    assert [said for said in wanted if said not in shown] == []
