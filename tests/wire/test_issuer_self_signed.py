"""Self-signed client certificates (RFC 8705 §2.2) through real TLS: each good for one client, and for nobody else."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import jwt
import pytest

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.wire import self_signed as listing
from tests.fakes.certificates import Authority, Leaf, self_signed
from tests.issuer_bank import CLIENTS, RGS, Bank

SELF = """
  - client_id: alone
    authentication: self_signed_tls_client_auth
    certificate_file: alone.pem
    audiences: {wallet.api: {scopes: ["wallet:debit"]}}
  - client_id: keyed
    authentication: self_signed_tls_client_auth
    jwks: keyed.json
    audiences: {wallet.api: {scopes: ["wallet:debit"]}}
"""
ALONE = self_signed("alone", uris=(RGS,))  # it writes another client's name into its own certificate
KEYED = self_signed("keyed")


def jwks_of(leaf: Leaf, chain: Leaf | None = None) -> str:
    numbers = leaf.key.public_key().public_numbers()
    key = {"kty": "EC", "crv": "P-256", "x": encoded(numbers.x.to_bytes(32, "big"))}
    key["y"] = encoded(numbers.y.to_bytes(32, "big"))
    return json.dumps({"keys": [key | {"x5c": [base64.b64encode((chain or leaf).der).decode()]}]})


def prepared(folder: Path, authority: Authority, alone: bytes = ALONE.pem, keyed: str | None = None) -> Bank:
    bank = Bank(folder, authority, clients=CLIENTS + SELF).prepare()
    (folder / "alone.pem").write_bytes(alone)
    (folder / "keyed.json").write_text(keyed or jwks_of(KEYED))
    return bank


@pytest.fixture
async def lonely(tmp_path: Path, authority: Authority) -> AsyncIterator[Bank]:
    async with prepared(tmp_path, authority).open() as bank:
        yield bank


@pytest.mark.parametrize(("client", "leaf"), [("alone", ALONE), ("keyed", KEYED)], ids=["PEM", "x5c"])
async def test_its_own_certificate_gets_a_token_bound_to_it_and_in_its_own_name(
    lonely: Bank, client: str, leaf: Leaf
) -> None:
    answer = await lonely.token(leaf, {"client_id": client})
    assert answer.status == 200, answer.body
    claims = jwt.decode(answer.json["access_token"], options={"verify_signature": False})
    # Not the SPIFFE ID in the certificate of `alone`: nobody has vouched for it.
    assert (claims["sub"], claims["cnf"]) == (client, {"x5t#S256": encoded(leaf.sha256)})


@pytest.mark.parametrize("client", ["rgs", "keyed", "nobody"])
async def test_a_listed_certificate_that_names_another_client_is_not_that_client(lonely: Bank, client: str) -> None:
    """TLS takes the certificate, and its SPIFFE ID is that of `rgs`; but nobody vouched for the name."""
    assert (await lonely.token(ALONE, {"client_id": client})).error == (401, "invalid_client")


async def test_an_authoritys_certificate_is_no_self_signed_one(lonely: Bank, rgs: Leaf) -> None:
    assert (await lonely.token(rgs)).status == 200
    assert (await lonely.token(rgs, {"client_id": "alone"})).error == (401, "invalid_client")


FORGERIES = {
    "signed by a listed key, in its name": self_signed("rgs", uris=(RGS,), signed_by=ALONE),
    "the same name, signed by the listed key": self_signed("alone", uris=(RGS,), signed_by=ALONE),
    "the same name, another key": self_signed("alone", uris=(RGS,)),
    "an authority of its own, signed by the listed key": self_signed("sub", ca=True, signed_by=ALONE),
    "not listed": self_signed("stranger"),
}


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
async def test_a_listed_certificate_vouches_for_nothing_but_itself(lonely: Bank, forged: Leaf) -> None:
    for client in ("rgs", "alone"):
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await lonely.token(forged, {"client_id": client})
    assert lonely.observer.tokens == []


async def test_a_chain_behind_a_listed_certificate_is_not_believed(lonely: Bank, tmp_path: Path) -> None:
    """The client sends the listed certificate along as its issuer; OpenSSL must still refuse what that one signed."""
    forged = self_signed("rgs", uris=(RGS,), signed_by=ALONE)
    context = lonely.context(None)
    (tmp_path / "chain.pem").write_bytes(forged.pem + ALONE.pem)
    (tmp_path / "chain-key.pem").write_bytes(forged.key_pem)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "chain-key.pem")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await session.post(f"https://127.0.0.1:{lonely.port}/token", data={"client_id": "rgs"})


async def test_an_expired_listed_certificate_gets_no_connection(tmp_path: Path, authority: Authority) -> None:
    stale = self_signed("alone", not_after=datetime(2024, 2, 1, tzinfo=UTC))
    async with prepared(tmp_path, authority, alone=stale.pem).open() as bank:
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await bank.token(stale, {"client_id": "alone"})


async def test_two_certificates_of_one_client_so_that_it_can_change_over(tmp_path: Path, authority: Authority) -> None:
    successor = self_signed("alone")
    async with prepared(tmp_path, authority, alone=ALONE.pem + successor.pem).open() as bank:
        for leaf in (ALONE, successor):
            assert (await bank.token(leaf, {"client_id": "alone"})).status == 200


def refused(bank: Bank) -> str:
    with pytest.raises(DocumentError) as caught:
        bank.inputs()
    return str(caught.value)


def version_one() -> bytes:
    """A certificate without extensions, which OpenSSL would let sign others."""
    return self_signed("old", ca=None).pem


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (self_signed("alone", ca=True).pem, "CA:FALSE"),
        (version_one(), "CA:FALSE"),
        (Authority().leaf("alone").pem, "not self-signed"),
        (self_signed("alone", signed_by=self_signed("alone")).pem, "not self-signed"),
        (self_signed("test root").pem, "the name of an authority"),
        (KEYED.pem, "list the same certificate"),
        (ALONE.pem * 17, "1 to 16 certificates"),
        (b"nonsense", "no certificate"),
        (b"", "certificate"),
    ],
    ids=range(9),
)
def test_what_could_vouch_for_others_cannot_be_listed(
    tmp_path: Path, authority: Authority, listed: bytes, said: str
) -> None:
    assert said in refused(prepared(tmp_path, authority, alone=listed))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (jwks_of(KEYED, ALONE), "another key"),
        (jwks_of(KEYED, self_signed("x", ca=True)), "another key"),
        ('{"keys":[]}', "not a list of keys"),
        ('{"keys":[{"kty":"EC"}]}', "x5c is required"),
        ('{"keys":[{"kty":"EC","x5c":["AAAA"]}]}', "x5c no certificate"),
        ('{"keys":[{"kty":"oct","k":"AAAA","x5c":["' + base64.b64encode(KEYED.der).decode() + '"]}]}', "no key"),
        ("[]", "not a JSON object"),
        ("{", "not a JSON object"),
    ],
    ids=range(8),
)
def test_a_key_set_that_does_not_hold_the_certificates(
    tmp_path: Path, authority: Authority, document: str, said: str
) -> None:
    assert said in refused(prepared(tmp_path, authority, keyed=document))


def test_a_hash_alone_is_not_enough_where_clients_connect_themselves(tmp_path: Path, authority: Authority) -> None:
    pinned = CLIENTS + SELF.replace("certificate_file: alone.pem", "certificate: {sha256: " + "ab" * 32 + "}")
    bank = Bank(tmp_path, authority, clients=pinned).prepare()
    (tmp_path / "keyed.json").write_text(jwks_of(KEYED))
    assert "TLS must know its certificate" in refused(bank)


async def test_were_an_authority_listed_it_could_make_anybody(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backstop: what OpenSSL does with an authority of CA:TRUE is why none may be listed."""
    monkeypatch.setattr(listing, "_check", lambda _: None)
    own_authority = self_signed("alone", ca=True)
    async with prepared(tmp_path, authority, alone=own_authority.pem).open() as bank:
        answer = await bank.token(self_signed("rgs", uris=(RGS,), signed_by=own_authority))
    assert answer.status == 200
