"""The issuer behind Envoy: the certificate comes in a header, and only a proxy's header counts."""

import base64
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp
import jwt
import pytest

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.settings import load
from ott_extauthz.wire.http_server import serve_http
from tests.fakes.certificates import Authority, Leaf, self_signed
from tests.issuer_bank import CLIENTS, FORM, RGS, Bank, build_issuer

PROXY = "spiffe://bank.example/proxy"
GATEWAY = "spiffe://bank.example/gateway"
BATCH = {"client_id": "batch", "resource": "ledger.api"}


def element(leaf: Leaf, **changes: str | None) -> str:
    pairs: dict[str, str | None] = {"By": PROXY, "Hash": leaf.sha256.hex(), "Cert": f'"{quote(leaf.pem, safe="")}"'}
    return ";".join(f"{name}={value}" for name, value in (pairs | changes).items() if value is not None)


def xfcc(leaf: Leaf, **changes: str | None) -> dict[str, str]:
    return {"X-Forwarded-Client-Cert": element(leaf, **changes)}


def rule(**changes: str) -> str:
    parts = {"source": "xfcc", "hop_identities": f"[{PROXY}, {GATEWAY}]"} | changes
    return ", client_certificate: {" + ", ".join(f"{name}: {value}" for name, value in parts.items()) + "}"


@pytest.fixture
async def behind(tmp_path: Path, authority: Authority) -> AsyncIterator[Bank]:
    async with Bank(tmp_path, authority, issuer_settings=rule()).prepare().open() as bank:
        yield bank


@pytest.fixture(scope="session")
def proxy(authority: Authority) -> Leaf:
    return authority.leaf("proxy", uris=(PROXY,))


async def test_the_certificate_that_a_trusted_proxy_forwards(behind: Bank, rgs: Leaf, proxy: Leaf) -> None:
    answer = await behind.token(proxy, headers=xfcc(rgs))
    assert answer.status == 200, answer.body
    claims = jwt.decode(answer.json["access_token"], options={"verify_signature": False})
    assert (claims["sub"], claims["cnf"]) == (RGS, {"x5t#S256": encoded(rgs.sha256)})


async def test_envoys_json_form(behind: Bank, rgs: Leaf, proxy: Leaf) -> None:
    pem = rgs.pem.decode().replace("\n", "\\n")
    header = f'[{{"by":["{PROXY}"],"hash":"{rgs.sha256.hex()}","cert":"{pem}"}}]'
    assert (await behind.token(proxy, headers={"X-Forwarded-Client-Cert": header})).status == 200


async def test_who_comes_directly_cannot_forge_the_header(behind: Bank, rgs: Leaf, authority: Authority) -> None:
    thief = authority.leaf("batch", dns=("batch.bank.example",))
    for leaf in (thief, rgs, None):
        assert (await behind.token(leaf, headers=xfcc(rgs))).error == (400, "invalid_request")
    assert behind.observer.tokens == []


async def test_a_proxys_name_beside_another_workloads_is_no_proxy(
    behind: Bank, rgs: Leaf, authority: Authority
) -> None:
    both = authority.leaf("both", uris=("spiffe://bank.example/batch", PROXY))
    assert (await behind.token(both, headers=xfcc(rgs))).error == (400, "invalid_request")


async def test_the_connections_own_certificate_is_the_proxys_and_no_clients(
    behind: Bank, rgs: Leaf, proxy: Leaf
) -> None:
    for leaf in (rgs, proxy):
        assert (await behind.token(leaf)).error == (401, "invalid_client")


async def test_two_headers(behind: Bank, rgs: Leaf, proxy: Leaf) -> None:
    two = [("X-Forwarded-Client-Cert", element(rgs)), ("X-Forwarded-Client-Cert", element(rgs))]
    async with behind.session(proxy) as session, session.post("/token", data=FORM, headers=two) as response:
        assert response.status == 401


async def test_only_the_last_element_is_the_proxys_own_word(
    behind: Bank, rgs: Leaf, proxy: Leaf, authority: Authority
) -> None:
    """APPEND_FORWARD: what the client sent stands to the left, and may say anything."""
    batch = authority.leaf("batch", dns=("batch.bank.example",))
    header = {"X-Forwarded-Client-Cert": f"{element(rgs)},{element(batch)}"}
    assert (await behind.token(proxy, headers=header)).error == (401, "invalid_client")
    assert (await behind.token(proxy, BATCH, header)).status == 200


def quoted(rgs: Leaf, batch: Leaf) -> dict[str, str]:
    return {
        "a quote that swallows the next element": f'{element(rgs)};Subject="x,{element(batch)}',
        "a quote around a forged element": f'{element(batch)};Subject="CN=x",{element(rgs)};Subject="',
        "a hash of one, the certificate of another": element(rgs, Hash=batch.sha256.hex()),
        "no certificate": element(rgs, Cert=None),
        "an empty certificate": element(rgs, Cert=""),
        "names beside no certificate": f"{element(rgs, Cert=None)};URI={RGS}",
        "two certificates in one": element(rgs, Cert=f'"{quote(rgs.pem + batch.pem, safe="")}"'),
        "no certificate at all": element(rgs, Cert='"nonsense"'),
        "Cert twice": element(rgs) + f';Cert="{quote(batch.pem, safe="")}"',
        "Hash twice": element(rgs, By=None) + f";Hash={batch.sha256.hex()}",
        "an unknown key": element(rgs) + ";Trust=me",
        "broken JSON": f"[,{element(rgs)}]",
        "empty": "",
    }


@pytest.mark.parametrize("trick", quoted(Authority().leaf(), Authority().leaf()))
async def test_tricks_with_quotes_and_what_is_unclear(
    behind: Bank, rgs: Leaf, proxy: Leaf, authority: Authority, trick: str
) -> None:
    header = quoted(rgs, authority.leaf("batch", dns=("batch.bank.example",)))[trick]
    for form in ({}, BATCH):
        answer = await behind.token(proxy, form, {"X-Forwarded-Client-Cert": header})
        assert answer.error == (401, "invalid_client")
    assert behind.observer.faults == []


async def test_trusted_hops_are_counted_and_named(tmp_path: Path, authority: Authority, rgs: Leaf, proxy: Leaf) -> None:
    gateway, stranger = (authority.leaf(name, uris=(f"spiffe://bank.example/{name}",)) for name in ("gateway", "other"))
    bank = Bank(tmp_path, authority, issuer_settings=rule(trusted_hops="1", exact_hops="true")).prepare()
    async with bank.open():

        async def status(*elements: str) -> int:
            return (await bank.token(proxy, headers={"X-Forwarded-Client-Cert": ",".join(elements)})).status

        assert await status(element(rgs), element(gateway, URI=GATEWAY)) == 200
        assert await status(element(rgs), element(stranger, URI="spiffe://bank.example/other")) == 401
        assert await status(element(rgs)) == 401
        assert await status(element(stranger), element(rgs), element(gateway, URI=GATEWAY)) == 401


async def test_a_certificate_that_expired_on_its_way(behind: Bank, rgs: Leaf, proxy: Leaf) -> None:
    behind.clock.at_ms = 2_400_000_000_000
    assert (await behind.token(proxy, headers=xfcc(rgs))).error == (401, "invalid_client")


async def test_client_cert_of_rfc_9440(tmp_path: Path, authority: Authority, rgs: Leaf, proxy: Leaf) -> None:
    header = {"Client-Cert": f":{base64.b64encode(rgs.der).decode()}:"}
    async with Bank(tmp_path, authority, issuer_settings=rule(source="rfc9440")).prepare().open() as bank:
        assert (await bank.token(proxy, headers=header)).status == 200
        assert (await bank.token(rgs, headers=header)).error == (400, "invalid_request")
        assert (await bank.token(proxy, headers=xfcc(rgs))).error == (401, "invalid_client")
        for bad in (":!:", ":AAAA:", header["Client-Cert"][1:], ""):
            assert (await bank.token(proxy, headers={"Client-Cert": bad})).error == (401, "invalid_client")


PINNED = """
  - client_id: alone
    authentication: self_signed_tls_client_auth
    certificate_file: alone.pem
    audiences: {wallet.api: {scopes: ["wallet:debit"]}}
"""


async def test_a_listed_certificate_that_bears_the_proxys_name_is_no_proxy(
    tmp_path: Path, authority: Authority, rgs: Leaf, proxy: Leaf
) -> None:
    alone = self_signed("alone", uris=(PROXY,))
    bank = Bank(tmp_path, authority, clients=CLIENTS + PINNED, issuer_settings=rule()).prepare()
    (tmp_path / "alone.pem").write_bytes(alone.pem)
    async with bank.open():
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await bank.token(alone, headers=xfcc(rgs))
        assert (await bank.token(proxy, {"client_id": "alone"}, xfcc(alone))).status == 200


@asynccontextmanager
async def over_a_socket(bank: Bank) -> AsyncIterator[aiohttp.ClientSession]:
    path = bank.folder / "issuer.sock"
    app = build_issuer(bank.settings, clock=bank.clock, entropy=secrets.token_bytes, observer=bank.observer)
    runner = await serve_http(app, f"unix://{path}", setting="issuer.listen", on_fault=bank.observer.faulted)
    async with aiohttp.ClientSession("http://issuer", connector=aiohttp.UnixConnector(str(path))) as session:
        yield session
    await runner.cleanup()


def without_tls(bank: Bank, listen: str, more: str) -> Bank:
    bank.prepare()
    (bank.folder / "ott.yaml").write_text(f"issuer: {{url: 'https://i.example', listen: '{listen}'{more}}}\n")
    return bank


async def test_a_unix_socket_needs_no_tls(tmp_path: Path, authority: Authority, rgs: Leaf) -> None:
    bank = without_tls(Bank(tmp_path, authority), "unix:///tmp/x.sock", rule())
    async with over_a_socket(bank) as session:
        async with session.post("/token", data=FORM, headers=xfcc(rgs)) as response:
            assert response.status == 200
        async with session.post("/token", data=FORM) as response:
            assert response.status == 401


@pytest.mark.parametrize(
    ("listen", "more", "said"),
    [
        ("unix:///tmp/x.sock", "", "set client_certificate.source"),
        ("127.0.0.1:0", "", "set client_certificate.source"),
        ("127.0.0.1:0", rule(), "plain_loopback: accept the risk"),
        ("localhost:0", rule() + ", plain_loopback: accept the risk", "reached over a Unix socket"),
        ("0.0.0.0:0", rule() + ", plain_loopback: accept the risk", "reached over a Unix socket"),
    ],
)
def test_without_tls_nobody_may_come_who_could_be_anybody(
    tmp_path: Path, authority: Authority, listen: str, more: str, said: str
) -> None:
    bank = without_tls(Bank(tmp_path, authority), listen, more)
    with pytest.raises(DocumentError, match=r"issuer\.tls") as caught:
        bank.inputs()
    assert said in str(caught.value)


def test_loopback_without_tls_where_the_operator_accepts_the_risk(tmp_path: Path, authority: Authority) -> None:
    bank = without_tls(Bank(tmp_path, authority), "127.0.0.1:0", rule() + ", plain_loopback: accept the risk")
    assert bank.inputs().tls is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (rule(hop_identities="[]"), "hop_identities: required"),
        (", plain_loopback: accept the risk", "plain_loopback is for"),
        (", plain_loopback: true", "accept the risk"),
    ],
)
def test_settings_that_would_trust_nobody_or_anybody(
    tmp_path: Path, authority: Authority, more: str, said: str
) -> None:
    bank = Bank(tmp_path, authority, issuer_settings=more).prepare()
    with pytest.raises(DocumentError) as caught:
        load(bank.folder / "ott.yaml", {})
    assert said in str(caught.value)


def test_proxies_are_known_by_an_authority(tmp_path: Path, authority: Authority) -> None:
    bank = Bank(tmp_path, authority, issuer_settings=rule()).prepare()
    text = (bank.folder / "ott.yaml").read_text().replace(", client_ca: ca.pem", "")
    (bank.folder / "ott.yaml").write_text(text)
    with pytest.raises(DocumentError, match=r"tls\.client_ca: required"):
        load(bank.folder / "ott.yaml", {})
