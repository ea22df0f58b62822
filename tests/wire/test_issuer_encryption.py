"""Encrypted tokens from end to end: an audience's key, an issuer over HTTPS, and a Check server's keys that turn."""

from pathlib import Path

import pytest

from ott_extauthz.authn.sealed import plain_from
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.reloading import sources_of
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.settings import load
from ott_extauthz.stores.encryption_files import init_encryption, load_decryption
from tests.fakes.issuing import SetClock
from tests.issuer_bank import RGS, Bank, build_issuer

POLICY = """revision: "r1"
routes:
  - name: debit
    match: {hosts: [wallet.api], methods: [POST], path: /debit}
    credential: one_time_token
    audience: wallet.api
    encrypted: true
"""


def configure(bank: Bank, encryption: str) -> None:
    path = bank.folder / "ott.yaml"
    path.write_text(path.read_text().replace("issuer: {", f"issuer: {{encryption: {{wallet.api: {encryption}}}, "))


async def test_a_token_for_an_audience_with_a_key_is_read_by_nobody_else(tmp_path: Path) -> None:
    bank = Bank(tmp_path).prepare()
    _, public = init_encryption(tmp_path / "wallet-keys", "P-256")
    configure(bank, str(public))
    leaf = bank.authority.leaf("rgs", uris=(RGS,))
    async with bank.open():
        token = (await bank.token(leaf)).json["access_token"]
    assert token.count(".") == 4
    inner = plain_from(token, load_decryption(tmp_path / "wallet-keys"), is_demanded=True)
    assert isinstance(inner, str)
    assert inner.count(".") == 2


@pytest.mark.parametrize("content", [None, '{"keys": []}'])
def test_an_issuer_that_could_not_seal_does_not_start(tmp_path: Path, content: str | None) -> None:
    bank = Bank(tmp_path).prepare()
    configure(bank, "wallet.json")
    if content is not None:
        (tmp_path / "wallet.json").write_text(content)
    with pytest.raises(DocumentError, match=r"wallet\.json"):
        build_issuer(bank.settings, clock=SetClock(), entropy=bytes, observer=bank.observer)


class NobodyListens:
    def reloaded(self, *_: object) -> None: ...


def test_new_keys_are_followed_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    bank = Bank(tmp_path).prepare()
    (tmp_path / "policy.yaml").write_text(POLICY)
    trust = "trust: [{issuer: 'https://issuer.bank.example', jwks: keys/jwks.json, algorithms: [EdDSA]}]\n"
    (tmp_path / "check.yaml").write_text(f"{trust}policy: policy.yaml\ndecryption: wallet-keys\n")
    init_encryption(tmp_path / "wallet-keys", "X25519")
    settings = load(tmp_path / "check.yaml", {})
    sources = sources_of(
        settings,
        check_inputs(settings, "ott.yaml"),
        clock=SystemClock(),
        listener=NobodyListens(),
        on_fault=lambda _: None,
    )
    assert sources.decryption is not None
    assert sources.decryption in sources.all()
    configure(bank, str(tmp_path / "wallet-keys" / "encryption-jwks.json"))
    init_encryption(tmp_path / "wallet-keys", "X25519")
    assert len(sources.decryption.current()) == 1
    assert sources.decryption.reload()
    assert len(sources.decryption.current()) == 2
    (tmp_path / "wallet-keys" / "broken.pem").write_text("no key")
    sources.decryption.reload()
    assert len(sources.decryption.current()) == 2
    assert sources.decryption.in_force.failure is not None
    assert isinstance(sources.unseal("a.b.c", True), Rejection)  # noqa: FBT003 - as Unseal has it


def test_a_route_that_demands_what_nobody_could_open_does_not_start(tmp_path: Path) -> None:
    Bank(tmp_path).prepare()
    (tmp_path / "policy.yaml").write_text(POLICY)
    trust = "trust: [{issuer: 'https://issuer.bank.example', jwks: keys/jwks.json, algorithms: [EdDSA]}]\n"
    (tmp_path / "check.yaml").write_text(f"{trust}policy: policy.yaml\n")
    settings = load(tmp_path / "check.yaml", {})
    with pytest.raises(DocumentError, match="route debit: asks for encrypted tokens"):
        check_inputs(settings, "check.yaml")
