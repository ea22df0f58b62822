"""What does not start, and what is done with a certificate that rotates."""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path

import pytest

from ott_extauthz.bootstrap.attaching import SettledFiles, WorkloadTokens, new_tokens
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.client.identity import IdentityError
from ott_extauthz.demo.pki import Authority, Identity
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.ports import MintedToken, TokenWanted
from ott_extauthz.settings import Settings, load
from ott_extauthz.stores.encryption_files import init_encryption
from ott_extauthz.stores.keyring import init_keys
from ott_extauthz.wire.own_certificate import SETTLE_SECONDS, OwnCertificate
from tests.fakes.clock import START_MS, FakeClock, SkewedClock

APP_A = "spiffe://bank.example/app-a"
AUTHORITY = Authority("attach")
POLICY = """
routes:
  - name: out
    match: {path: /a}
    attach: one_time_token
    audience: a
"""
CLIENTS = f"""
clients:
  - client_id: app-a
    authentication: tls_client_auth
    certificate: {{spiffe_id: "{APP_A}"}}
    audiences: {{a: {{scopes: [s]}}}}
"""
ISSUER = "issuer: {url: 'https://i.example', keys: keys, clients: clients.yaml}\n"
GRPC = "attach: {issuer: {address: '127.0.0.1:1', ca: ca.pem, certificate: w.pem, key: w-key.pem}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "clients.yaml").write_text(CLIENTS)
    init_keys(tmp_path / "keys", now_ms=START_MS)
    AUTHORITY.write(tmp_path)
    AUTHORITY.issue("a", uri=APP_A).write(tmp_path, "w")
    AUTHORITY.issue("a", dns=("a.bank.example",)).write(tmp_path, "n")
    return tmp_path


def problems(folder: Path, text: str) -> str:
    (folder / "ott.yaml").write_text("policy: policy.yaml\n" + text)
    with pytest.raises(DocumentError) as caught:
        check_inputs(load(folder / "ott.yaml", {}), "ott.yaml")
    return str(caught.value)


@pytest.mark.parametrize("text", [GRPC, ISSUER + "attach: {client_id: app-a, certificate: w.pem}\n"])
def test_a_server_that_only_attaches_trusts_nobody(folder: Path, text: str) -> None:
    (folder / "ott.yaml").write_text("policy: policy.yaml\n" + text)
    assert check_inputs(load(folder / "ott.yaml", {}), "ott.yaml").attach is not None


def test_a_route_that_attaches_needs_somewhere_to_get_tokens_from(folder: Path) -> None:
    assert "attach: required: the route out attaches tokens" in problems(folder, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attach: {}\n", "one of issuer (tokens asked for), client_id (minted here) and signing_keys"),
        ("attach: {client_id: a, spiffe_id: 'spiffe://b/a'}\n", "needs issuer: its url, keys and clients"),
        (ISSUER + "attach: {client_id: a}\n", "exactly one of certificate (that Envoy presents) and spiffe_id"),
        (
            ISSUER + "attach: {client_id: a, certificate: w.pem, spiffe_id: 'spiffe://b/a'}\n",
            "exactly one of certificate",
        ),
        (ISSUER + "attach: {client_id: a, spiffe_id: 'https://b/a'}\n", "attach.spiffe_id"),
        (GRPC.replace("}}", "}, certificate: w.pem}"), "bound to attach.issuer.certificate; leave the others out"),
        (GRPC.replace("}}", ", binding: dpop}}"), "attach.issuer.binding"),
        (GRPC.replace("w", "n").replace("}}", ", binding: workload}}"), "has no SPIFFE ID to bind to"),
        (ISSUER + "attach: {client_id: nobody, certificate: w.pem}\n", "attach.client_id: "),
        (ISSUER + "attach: {client_id: app-a, certificate: gone.pem}\n", "gone.pem: cannot be read"),
        (GRPC.replace("w-key.pem", "ca.pem"), "not a certificate and its key"),
        (ISSUER.replace("keys: keys", "keys: gone") + "attach: {client_id: app-a, certificate: w.pem}\n", "gone"),
    ],
)
def test_what_cannot_work_does_not_start(folder: Path, text: str, message: str) -> None:
    assert message in problems(folder, text)


def test_no_key_of_ours_mints_what_the_issuer_would_want_a_proof_for(folder: Path) -> None:
    (folder / "clients.yaml").write_text(CLIENTS.replace("audiences", "dpop: required\n    audiences"))
    found = problems(folder, ISSUER + "attach: {client_id: app-a, certificate: w.pem}\n")
    assert "attach.client_id: " in found
    assert "dpop: required" in found


def test_a_key_that_others_can_read_does_not_start(folder: Path) -> None:
    (folder / "w-key.pem").chmod(0o604)
    assert "a secret readable by all" in problems(folder, GRPC)


class Counting:
    """Mints tokens that name how many were minted before."""

    def __init__(self) -> None:
        self.count = 0

    async def mint(self, wanted: TokenWanted, count: int) -> Sequence[MintedToken]:
        self.count += count
        return [MintedToken(f"{self.count}-{index}", START_MS, START_MS + 30_000) for index in range(count)]


async def test_tokens_of_a_replaced_certificate_are_forgotten_also_by_an_idle_workload(folder: Path) -> None:
    clock, source = SkewedClock(), Counting()
    certificate = OwnCertificate(folder / "w.pem", clock)
    tokens = WorkloadTokens(source, certificate, clock)
    tokens.start(on_fault=lambda _: None)
    for _ in range(20):
        await tokens.take(TokenWanted(audience="a"))
    kept = tokens._pool.ready(TokenWanted(audience="a"))
    assert kept > 0
    _replace(folder, AUTHORITY.issue("a", uri=APP_A))
    async with asyncio.timeout(20):
        while tokens._pool.ready(TokenWanted(audience="a")):  # noqa: ASYNC110 - nobody tells when a file was looked at
            await asyncio.sleep(0.02)
    await tokens.aclose()


def _replace(folder: Path, identity: Identity, *, key: bool = True) -> None:
    fresh = folder / "fresh"
    fresh.mkdir(exist_ok=True)
    certificate, private = identity.write(fresh, "w")
    if key:
        private.replace(folder / "w-key.pem")
    else:
        private.unlink()
    certificate.replace(folder / "w.pem")


def test_files_count_as_they_were_until_they_have_settled(folder: Path) -> None:
    clock = FakeClock()
    files = SettledFiles(certificate=folder / "w.pem", key=folder / "w-key.pem", ca=folder / "ca.pem", clock=clock)
    first = files.read()
    _replace(folder, AUTHORITY.issue("a", uri=APP_A), key=False)
    clock.advance(60_000)
    assert files.read() == first
    _replace(folder, AUTHORITY.issue("a", uri=APP_A))
    assert files.read() == first
    clock.advance(int(SETTLE_SECONDS * 1000))
    assert files.read() != first


def test_files_that_never_fitted_are_an_error(folder: Path) -> None:
    files = SettledFiles(certificate=folder / "w.pem", key=folder / "ca.pem", ca=folder / "ca.pem", clock=FakeClock())
    with pytest.raises(IdentityError):
        files.read()


async def test_a_sealed_audience_gets_no_token_that_everything_on_the_way_can_read(folder: Path) -> None:
    _, public = init_encryption(folder / "a-keys", "X25519")
    issuer = ISSUER.replace("keys: keys", f"keys: keys, encryption: {{a: {public}}}")
    (folder / "ott.yaml").write_text(f"policy: policy.yaml\n{issuer}attach: {{client_id: app-a, certificate: w.pem}}\n")
    settings = load(folder / "ott.yaml", {})
    inputs = check_inputs(settings, "ott.yaml").attach
    assert inputs is not None
    tokens = new_tokens(inputs, settings.issuer, clock=FakeClock(), entropy=secrets.token_bytes)
    assert tokens is not None
    token = await tokens.take(TokenWanted(audience="a"))
    await tokens.aclose()
    assert token.text.count(".") == 4


def test_a_key_set_to_seal_with_that_is_none_does_not_start(folder: Path) -> None:
    issuer = ISSUER.replace("keys: keys", "keys: keys, encryption: {a: clients.yaml}")
    assert "clients.yaml: not a JSON object" in problems(
        folder, issuer + "attach: {client_id: app-a, certificate: w.pem}\n"
    )


async def test_a_ring_that_fails_beside_the_workload_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "ott.yaml").write_text(f"policy: policy.yaml\n{ISSUER}attach: {{client_id: app-a, certificate: w.pem}}\n")
    settings = load(folder / "ott.yaml", {})
    inputs = check_inputs(settings, "ott.yaml").attach
    assert inputs is not None
    tokens = new_tokens(inputs, settings.issuer, clock=FakeClock(), entropy=secrets.token_bytes)
    assert tokens is not None
    (folder / "keys" / "ring.json").write_text("{")
    tokens.start(on_fault=lambda _: None)
    told = ""
    async with asyncio.timeout(20):
        while "key ring failed" not in told:
            await asyncio.sleep(0.02)
            told += capsys.readouterr().err
    await tokens.aclose()


ELSEWHERE = "{vault: {address: 'http://127.0.0.1:1', key: issuer, login: {token_file: t}MORE}}"


def elsewhere(folder: Path, more: str = "") -> Settings:
    issuer = ISSUER.replace("keys: keys", f"keys: {ELSEWHERE.replace('MORE', more)}")
    (folder / "ott.yaml").write_text(f"policy: policy.yaml\n{issuer}attach: {{client_id: app-a, certificate: w.pem}}\n")
    return load(folder / "ott.yaml", {})


def test_whoever_only_looks_asks_no_vault_and_judges_the_rest(folder: Path) -> None:
    inputs = check_inputs(elsewhere(folder), "ott.yaml", is_offline=True)
    assert inputs.attach is not None
    with pytest.raises(DocumentError, match=r"issuer\.keys"):
        check_inputs(elsewhere(folder), "ott.yaml")
    with pytest.raises(DocumentError, match=r"issuer\.keys: ca: .*gone\.pem cannot be read"):
        check_inputs(elsewhere(folder, ", ca: gone.pem"), "ott.yaml", is_offline=True)
    (folder / "clients.yaml").write_text(CLIENTS.replace("app-a", "app-b"))
    with pytest.raises(DocumentError, match="has no such client"):
        check_inputs(elsewhere(folder), "ott.yaml", is_offline=True)
