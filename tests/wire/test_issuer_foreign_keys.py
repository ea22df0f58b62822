"""The keys of foreign issuers under a running issuer: followed in files and at https URLs, or left as they were."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.bootstrap.key_sets import following
from ott_extauthz.reload.source import Result
from tests.exchange_bank import LOGIN, Casino, services_of
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.issuer import FakeIssuer
from tests.fakes.key_set_server import KeySetServer, key_set_server, until

RENEWED = FakeIssuer("https://login.example", "login-2", b"\7" * 32)


@pytest.fixture(scope="session")
def services(authority: Authority) -> dict[str, Leaf]:
    return services_of(authority)


@pytest.fixture
async def casino(tmp_path: Path, authority: Authority, services: dict[str, Leaf]) -> AsyncIterator[Casino]:
    async with Casino(tmp_path, authority, services=services).prepare().open() as opened:
        yield cast("Casino", opened)


@pytest.fixture
async def login(tmp_path: Path) -> AsyncIterator[KeySetServer]:
    (tmp_path / "login").mkdir()
    async with key_set_server(tmp_path / "login", LOGIN.jwks()) as server:
        yield server


@pytest.fixture
async def fetching(
    tmp_path: Path, authority: Authority, services: dict[str, Leaf], login: KeySetServer
) -> AsyncIterator[Casino]:
    """The same casino, whose login publishes its keys at a URL."""
    bank = Casino(tmp_path, authority, services=services).prepare()
    settings = (
        (tmp_path / "ott.yaml").read_text().replace("jwks: login.json", f"jwks: {login.url}\n      ca: login/ca.pem")
    )
    (tmp_path / "ott.yaml").write_text(settings)
    async with bank.open():
        yield bank


async def status(casino: Casino, token: str) -> int:
    return (await casino.exchange(subject_token=token)).status


async def test_a_login_that_changed_its_keys_is_understood_and_its_old_key_believed_no_more(casino: Casino) -> None:
    old, new = casino.user(), casino.user(RENEWED)
    assert [await status(casino, token) for token in (old, new)] == [200, 400]
    (casino.folder / "login.json").write_bytes(RENEWED.jwks())
    (login, _) = casino.issuer.sources.key_sets
    assert login.reload()
    assert [await status(casino, token) for token in (old, new)] == [400, 200]


@pytest.mark.parametrize("document", [b"", b"<html>", b'{"keys": []}'], ids=["empty", "a page", "no key"])
async def test_a_key_set_that_turned_bad_leaves_the_keys_in_force(casino: Casino, document: bytes) -> None:
    (casino.folder / "login.json").write_bytes(document)
    (login, _) = casino.issuer.sources.key_sets
    assert login.reload()
    assert await status(casino, casino.user()) == 200
    assert casino.reloaded.results == [("https://login.example", Result.REFUSED)]
    assert any("a change was refused" in line for line in (await casino.issuer.readiness())[1])


async def test_keys_at_a_url_are_fetched_and_followed(fetching: Casino, login: KeySetServer) -> None:
    assert await status(fetching, fetching.user()) == 503  # nobody has asked for them yet
    assert "not fetched yet" in "\n".join((await fetching.issuer.readiness())[1])
    (followed,) = fetching.issuer.sources.followed
    async with following(fetching.issuer.sources.followed):
        await until(lambda: followed.confirmed_ms is not None)
        assert await status(fetching, fetching.user()) == 200
        login.document = RENEWED.jwks()
        fetching.clock.at_ms += 120_000  # past the floor between two fetches
        assert await status(fetching, fetching.user(RENEWED)) == 400  # an unknown key: asked for at once
        await until(lambda: followed.keys.get("login-2") is not None)
        assert await status(fetching, fetching.user(RENEWED)) == 200
        assert await status(fetching, fetching.user()) == 400


async def test_the_login_cannot_be_reached_and_the_issuer_mints_for_everybody_else(
    fetching: Casino, login: KeySetServer
) -> None:
    async def fails(_: object) -> None:
        raise ConnectionResetError

    login.answer = cast("None", fails)
    (followed,) = fetching.issuer.sources.followed
    async with following(fetching.issuer.sources.followed):
        await until(followed.tried.is_set)
    assert (await fetching.issuer.readiness())[0]
    assert await status(fetching, fetching.user()) == 503
    form = {"grant_type": "client_credentials", "audience": "wallet.api", "authorization_details": None}
    assert (await fetching.ask("jackpot", **form)).status == 200


async def test_a_key_set_in_a_file_stays_one_object_of_its_own_issuer(casino: Casino) -> None:
    trust = casino.issuer.inputs.subject_trust
    assert isinstance(trust["https://login.example"], TrustedIssuer)
    assert set(trust) == {"https://login.example", "https://partner.example"}
