"""Rings per brand and region over real HTTPS: an audience's tokens are signed by its own ring and by no other."""

from pathlib import Path

import jwt
import pytest

from ott_extauthz.authn.jwks import issuer_from, keys_from
from ott_extauthz.authn.paseto_token import PasetoOneTimeVerifier
from ott_extauthz.bootstrap.minting import mint_token
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.issuer.order import MintOrder
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.stores.keyring import Place, init_keys, load_ring, rotate
from ott_extauthz.stores.keyring.schedule import Rotation
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.issuing import Remembering, SetClock
from tests.issuer_bank import CLIENTS, RGS, Bank, build_issuer


def prepared(folder: Path, authority: Authority, settings: str = "") -> Bank:
    bank = Bank(folder, authority).prepare()
    init_keys(folder / "eu", now_ms=bank.clock.at_ms)
    (folder / "clients.yaml").write_text(CLIENTS.replace("lifetime: 45500ms", "lifetime: 45500ms, ring: eu-a"))
    text = (folder / "ott.yaml").read_text().replace("listen:", f"rings: {{eu-a: eu}}, {settings} listen:")
    (folder / "ott.yaml").write_text(text)
    return bank


def kids(jwks: bytes) -> set[str]:
    return set(keys_from(jwks))


async def test_each_audience_has_its_ring_and_each_ring_its_set(
    tmp_path: Path, authority: Authority, rgs: Leaf
) -> None:
    batch = authority.leaf("batch", dns=("batch.bank.example",))
    async with prepared(tmp_path, authority).open() as bank:
        default, eu = (load_ring(Place(directory=tmp_path / name)).signer.kid for name in ("keys", "eu"))
        sets = {
            path: await bank.request("GET", path, None) for path in ("/jwks", "/jwks/eu-a", "/jwks/default", "/jwks/us")
        }
        assert [answer.status for answer in sets.values()] == [200, 200, 200, 404]
        assert kids(sets["/jwks"].body) == {default, eu}
        assert kids(sets["/jwks/eu-a"].body) == {eu}
        assert kids(sets["/jwks/default"].body) == {default}
        assert sets["/jwks"].headers["Cache-Control"] == "public, max-age=300"
        assert sets["/jwks"].headers["Content-Type"] == "application/jwk-set+json"
        wallet = await bank.token(rgs)
        ledger = await bank.token(batch, {"client_id": "batch", "resource": "ledger.api"})
        headers = [jwt.get_unverified_header(answer.json["access_token"]) for answer in (wallet, ledger)]
        assert [header["kid"] for header in headers] == [eu, default]


async def test_what_another_process_rotates_is_served_without_a_restart(tmp_path: Path, authority: Authority) -> None:
    async with prepared(tmp_path, authority).open() as bank:
        rotate(Place(directory=tmp_path / "eu"), Rotation(), at_once=False, now_ms=bank.clock.at_ms)
        while len(kids((await bank.request("GET", "/jwks/eu-a", None)).body)) == 1:
            pass
        assert len(kids((await bank.request("GET", "/jwks", None)).body)) == 3
        assert [(change.ring, change.after.value) for change in bank.observer.key_changes if change.is_news] == [
            ("eu-a", "next")
        ]


async def test_a_verifier_asks_twice_before_a_new_key_signs(tmp_path: Path, authority: Authority) -> None:
    async with prepared(tmp_path, authority, "rotation: {publish_before: 2m},").open() as bank:
        assert (await bank.request("GET", "/jwks", None)).headers["Cache-Control"] == "public, max-age=60"


def problems(bank: Bank) -> str:
    with pytest.raises(DocumentError) as caught:
        build_issuer(bank.settings, clock=SetClock(), entropy=bank.entropy, observer=Remembering(), source="ott.yaml")
    return str(caught.value).replace(str(bank.folder) + "/", "")


def test_an_audience_of_a_ring_that_is_not_there_is_told_with_its_place(tmp_path: Path, authority: Authority) -> None:
    bank = prepared(tmp_path, authority)
    (tmp_path / "clients.yaml").write_text((tmp_path / "clients.yaml").read_text().replace("ring: eu-a", "ring: us-b"))
    assert problems(bank) == "clients.yaml:7:86: clients[0].audiences.wallet.api.ring: no ring of issuer.rings"


def test_two_rings_in_one_directory_are_told(tmp_path: Path, authority: Authority) -> None:
    bank = prepared(tmp_path, authority)
    (tmp_path / "alias").symlink_to("keys")
    (tmp_path / "ott.yaml").write_text((tmp_path / "ott.yaml").read_text().replace("eu-a: eu", "eu-a: alias"))
    assert "ott.yaml: issuer.rings.eu-a: the directory of ring default; each ring has its own" in problems(bank)


def test_every_ring_that_cannot_be_used_is_told_at_once(tmp_path: Path, authority: Authority) -> None:
    bank = prepared(tmp_path, authority)
    for name in ("keys", "eu"):
        (tmp_path / name / "ring.json").unlink()
    assert "keys/ring.json: is missing" in problems(bank)
    assert "eu/ring.json: is missing" in problems(bank)


async def test_minting_by_hand_with_a_ring(tmp_path: Path, authority: Authority) -> None:
    bank = prepared(tmp_path, authority)
    order = {"audience": "wallet.api", "client_id": "rgs", "scope": frozenset({"a"})}
    token = await mint_token(bank.settings, ring="eu-a", clock=bank.clock, **order)  # type: ignore[arg-type]
    assert jwt.get_unverified_header(token)["kid"] == load_ring(Place(directory=tmp_path / "eu")).signer.kid
    with pytest.raises(DocumentError, match="no ring us"):
        await mint_token(bank.settings, ring="us", clock=bank.clock, **order)  # type: ignore[arg-type]


async def test_minting_by_hand_makes_no_jwt_with_a_ring_of_pasetos(tmp_path: Path, authority: Authority) -> None:
    """The key would be one of both formats: whatever verifies JWTs with it would take what was made of PASETO."""
    bank = prepared(tmp_path, authority)
    order = {"audience": "wallet.api", "client_id": "rgs", "scope": frozenset({"a"})}
    clients = (tmp_path / "clients.yaml").read_text()
    (tmp_path / "clients.yaml").write_text(clients.replace("ring: eu-a", "ring: eu-a, format: paseto"))
    with pytest.raises(DocumentError, match=r"clients\.yaml: the ring eu-a signs PASETOs, and this makes a JWT"):
        await mint_token(bank.settings, ring="eu-a", clock=bank.clock, **order)  # type: ignore[arg-type]
    (tmp_path / "clients.yaml").unlink()
    with pytest.raises(DocumentError, match="cannot be read"):
        await mint_token(bank.settings, ring="eu-a", clock=bank.clock, **order)  # type: ignore[arg-type]
    assert await mint_token(bank.settings, clock=bank.clock, **order)  # type: ignore[arg-type]


def test_an_order_names_the_default_ring_unless_told(rgs: Leaf) -> None:
    order = MintOrder(subject=RGS, client_id="rgs", audience="a", scope=frozenset(), lifetime_ms=1000)
    assert order.ring == ""


async def test_an_audience_has_its_tokens_as_paseto_from_a_ring_of_their_own(
    tmp_path: Path, authority: Authority, rgs: Leaf
) -> None:
    bank = prepared(tmp_path, authority)
    (tmp_path / "clients.yaml").write_text(
        (tmp_path / "clients.yaml").read_text().replace("ring: eu-a", "ring: eu-a, format: paseto")
    )
    async with bank.open():
        answer = await bank.token(rgs)
        keys = (await bank.request("GET", "/jwks/eu-a", None)).body
        url = bank.settings.issuer.url if bank.settings.issuer is not None else ""
        verifier = PasetoOneTimeVerifier(
            trust={url: issuer_from(url, frozenset({"EdDSA"}), keys)}, iat_lead_ms=0, exp_leeway_ms=0
        )
        token = verifier.verify(answer.json["access_token"], audience="wallet.api", now_ms=bank.clock.at_ms)
        assert isinstance(token, VerifiedToken)
        assert (token.client_id, token.confirmation.x5t_s256) == ("rgs", rgs.sha256)
        assert answer.json["expires_in"] == (token.expires_at_ms - token.issued_at_ms) // 1000
