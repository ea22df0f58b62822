"""Tokens of a workload while we serve: files that rotate, tokens that are forgotten, rings that fail."""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path

import pytest

from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.workload_tokens import SettledFiles, WorkloadTokens, new_tokens
from ott_extauthz.client.identity import IdentityError
from ott_extauthz.demo.pki import Identity
from ott_extauthz.ports import MintedToken, TokenWanted
from ott_extauthz.settings import load
from ott_extauthz.stores.encryption_files import init_encryption
from ott_extauthz.wire.own_certificate import SETTLE_SECONDS, OwnCertificate
from tests.fakes.attaching import APP_A, AUTHORITY, ISSUER, attaching_folder
from tests.fakes.clock import START_MS, FakeClock, SkewedClock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return attaching_folder(tmp_path)


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
