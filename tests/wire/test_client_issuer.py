"""The client's token source against a real issuer: bound tokens, rotated files, refusals told."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.client.identity import IdentityError, IdentityFiles
from ott_extauthz.client.issuer import GrpcTokenSource
from ott_extauthz.client.opening import SystemClock
from ott_extauthz.client.pool import TokenPool
from ott_extauthz.ports import TokenSourceError, TokenWanted
from tests.fakes.certificates import Authority, Leaf
from tests.issuer_bank import CLIENTS, RGS, Bank
from tests.issuer_door import Door, opened

WALLET = TokenWanted(audience="wallet.api")


@pytest.fixture
def files(tmp_path: Path, rgs: Leaf, door: Door) -> IdentityFiles:
    certificate, key = rgs.write(tmp_path, "rgs")
    return IdentityFiles(certificate=certificate, key=key, ca=tmp_path / "ca.pem")


@pytest.fixture
async def source(door: Door, files: IdentityFiles) -> AsyncIterator[GrpcTokenSource]:
    found = GrpcTokenSource(door.server.address, files)
    yield found
    await found.aclose()


def thumbprint(door: Door, text: str) -> str:
    found: str = door.claims(text)["cnf"]["x5t#S256"]
    return found


async def test_tokens_come_with_their_life_and_what_was_wanted(door: Door, source: GrpcTokenSource, rgs: Leaf) -> None:
    wanted = TokenWanted(audience="wallet.api", scope=frozenset({"wallet:debit"}), htm="POST", htp="/debit")
    tokens = await source.mint(wanted, 3)
    assert len({token.text for token in tokens}) == 3
    claims = door.claims(tokens[0].text)
    assert (claims["scope"], claims["htm"], claims["htp"]) == ("wallet:debit", "POST", "/debit")
    assert thumbprint(door, tokens[0].text) == encoded(rgs.sha256)
    assert tokens[0].expires_at_ms - tokens[0].issued_at_ms == 45_500
    assert tokens[0].text not in repr(tokens)


async def test_a_digest_binds_the_token_to_a_body(door: Door, source: GrpcTokenSource) -> None:
    (token,) = await source.mint(TokenWanted(audience="wallet.api", digest=b"\1" * 32), 1)
    assert door.claims(token.text)["digest"] == encoded(b"\1" * 32)


async def test_a_token_may_be_bound_to_the_workload_alone(tmp_path: Path, authority: Authority, rgs: Leaf) -> None:
    clients = CLIENTS.replace("lifetime: 45500ms", "workload_bound: true")
    certificate, key = rgs.write(tmp_path, "rgs")
    files = IdentityFiles(certificate=certificate, key=key, ca=tmp_path / "ca.pem")
    async with opened(Bank(tmp_path, authority, clients=clients).prepare()) as door:
        source = GrpcTokenSource(door.server.address, files, workload_bound=True)
        for digest in (None, bytes(32)):  # over the stream, and by a call of its own
            (token,) = await source.mint(TokenWanted(audience="wallet.api", digest=digest), 1)
            claims = door.claims(token.text)
            assert (claims["sub"], "cnf" in claims) == (RGS, False)
        await source.aclose()


@pytest.mark.parametrize(
    ("wanted", "count", "told"),
    [
        (TokenWanted(audience="ledger.api"), 1, "invalid_target"),
        (TokenWanted(audience="wallet.api", scope=frozenset({"wallet:admin"})), 1, "invalid_scope"),
        (TokenWanted(audience="wallet.api", scope=frozenset()), 1, "without scope"),
        (WALLET, 257, "invalid_request: count"),
    ],
)
async def test_a_refusal_is_lasting_and_says_why(
    source: GrpcTokenSource, wanted: TokenWanted, count: int, told: str
) -> None:
    with pytest.raises(TokenSourceError, match=told) as refusal:
        await source.mint(wanted, count)
    assert refusal.value.is_lasting


async def test_an_issuer_that_is_gone_is_an_outage(door: Door, source: GrpcTokenSource) -> None:
    await source.mint(WALLET, 1)
    await door.server.leave()
    with pytest.raises(TokenSourceError, match="UNAVAILABLE") as refusal:
        await source.mint(WALLET, 1)
    assert not refusal.value.is_lasting


async def test_an_issuer_of_another_authority_is_not_asked(door: Door, files: IdentityFiles, tmp_path: Path) -> None:
    (tmp_path / "other-ca.pem").write_bytes(Authority("another").pem)
    source = GrpcTokenSource(
        door.server.address,
        IdentityFiles(certificate=files.certificate, key=files.key, ca=tmp_path / "other-ca.pem"),
    )
    with pytest.raises(TokenSourceError):
        await source.mint(WALLET, 1)
    await source.aclose()
    assert door.bank.observer.tokens == []


async def test_a_rotated_certificate_empties_the_pool_and_binds_the_next_token(
    door: Door, source: GrpcTokenSource, files: IdentityFiles, rgs: Leaf
) -> None:
    pool = TokenPool(source, SystemClock())
    rotated = asyncio.Event()

    def on_rotated() -> None:
        pool.discard()
        rotated.set()

    source.on_rotated = on_rotated
    before = await asyncio.gather(*(pool.take(WALLET) for _ in range(20)))
    assert {thumbprint(door, token.text) for token in before} == {encoded(rgs.sha256)}
    following = asyncio.create_task(source.follow(every=0.01))
    renewed = door.bank.authority.leaf("rgs", uris=(RGS,))
    renewed.write(files.certificate.parent, "rgs")

    await asyncio.wait_for(rotated.wait(), 30)
    for _ in range(20):
        assert thumbprint(door, (await pool.take(WALLET)).text) == encoded(renewed.sha256)
    following.cancel()
    await pool.aclose()


async def test_half_a_rotation_leaves_the_working_channel(
    door: Door, source: GrpcTokenSource, files: IdentityFiles, rgs: Leaf
) -> None:
    """Certificate and key are two files: in between neither TLS nor the tokens would fit."""
    told: list[str] = []
    source.on_rotated = lambda: told.append("rotated")
    renewed = door.bank.authority.leaf("rgs", uris=(RGS,))
    files.certificate.write_bytes(renewed.pem)
    assert thumbprint(door, (await source.mint(WALLET, 1))[0].text) == encoded(rgs.sha256)
    files.key.unlink()
    assert thumbprint(door, (await source.mint(WALLET, 1))[0].text) == encoded(rgs.sha256)
    assert told == []
    files.key.write_bytes(renewed.key_pem)
    assert thumbprint(door, (await source.mint(WALLET, 1))[0].text) == encoded(renewed.sha256)
    assert told == ["rotated"]


async def test_each_gets_what_it_asked_for_over_one_stream(door: Door, source: GrpcTokenSource) -> None:
    """Also when some of those who asked have given up in between, their answers still on the way."""
    kinds = [TokenWanted(audience="wallet.api", scope=frozenset({scope})) for scope in ("wallet:debit", "wallet:read")]
    await source.mint(WALLET, 1)
    stream = source._stream
    asking = [asyncio.create_task(source.mint(kinds[number % 2], number % 7 + 1)) for number in range(60)]
    await asyncio.sleep(0)
    for task in asking[10:50:3]:
        task.cancel()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    kept = [(number, answer) for number, answer in enumerate(answers) if not isinstance(answer, BaseException)]
    assert len(kept) >= 40
    for number, tokens in kept:
        assert len(tokens) == number % 7 + 1
        wanted = "wallet:read" if number % 2 else "wallet:debit"
        assert {door.claims(token.text)["scope"] for token in tokens} == {wanted}
    assert all(isinstance(answer, list | asyncio.CancelledError) for answer in answers)
    assert stream is not None


async def test_a_stream_that_is_there_is_used_again(source: GrpcTokenSource) -> None:
    await source.mint(WALLET, 1)
    stream = source._stream
    with pytest.raises(TokenSourceError, match="invalid_target"):
        await source.mint(TokenWanted(audience="ledger.api"), 1)
    await source.mint(WALLET, 1)
    assert source._stream is stream


async def test_an_issuer_that_was_restarted_is_asked_over_a_new_stream(door: Door, source: GrpcTokenSource) -> None:
    await source.mint(WALLET, 1)
    address = door.server.address
    await door.server.leave()
    door.inputs = replace(door.inputs, settings=door.inputs.settings.model_copy(update={"grpc": address}))
    door.server = door.new_server()
    await door.server.start()
    pool = TokenPool(source, SystemClock())
    async with asyncio.timeout(60):
        for _ in itertools.count():
            try:
                assert (await pool.take(WALLET)).text
                break
            except TokenSourceError as error:  # gRPC may still believe in the old connection
                assert not error.is_lasting  # noqa: PT017 - it is the pool's promise, and the loop goes on
                await asyncio.sleep(0.05)
    await pool.aclose()


@pytest.mark.parametrize("broken", ["certificate", "key", "ca"])
def test_files_that_cannot_be_used_are_told_at_the_start_and_not_quoted(files: IdentityFiles, broken: str) -> None:
    path: Path = getattr(files, broken)
    path.write_text("hunter2")
    with pytest.raises(IdentityError, match=path.name) as error:
        files.read()
    assert "hunter2" not in str(error.value)
    path.unlink()
    with pytest.raises(IdentityError, match=path.name):
        files.read()


def test_an_identity_shows_nothing_of_its_key(files: IdentityFiles) -> None:
    assert "BEGIN" not in repr(files.read())
