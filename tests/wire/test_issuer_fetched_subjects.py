"""Users of a login whose keys the issuer fetches: down at the start, back, rotated."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.exchange_bank import LOGIN, Casino, services_of
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.key_set_server import KeySetServer, key_set_server


@pytest.fixture(scope="session")
def services(authority: Authority) -> dict[str, Leaf]:
    return services_of(authority)


def casino_of(folder: Path, authority: Authority, services: dict[str, Leaf], server: KeySetServer) -> Casino:
    (folder / "casino").mkdir()
    casino = Casino(folder / "casino", authority, services=services)
    casino.prepare()
    path = folder / "casino" / "ott.yaml"
    path.write_text(path.read_text().replace("jwks: login.json", f"jwks: '{server.url}'\n      ca: ../ca.pem"))
    return casino


async def unavailable(_: web.Request) -> web.StreamResponse:
    return web.Response(status=503)


async def test_a_users_token_is_believed_by_keys_that_were_fetched(
    tmp_path: Path, authority: Authority, services: dict[str, Leaf]
) -> None:
    async with key_set_server(tmp_path, LOGIN.jwks()) as server:
        async with casino_of(tmp_path, authority, services, server).open() as casino:
            assert isinstance(casino, Casino)
            answer = await casino.exchange()
        assert (answer.status, len(server.requests)) == (200, 1)


async def test_a_login_that_is_down_is_no_fault_of_its_users_tokens(
    tmp_path: Path, authority: Authority, services: dict[str, Leaf]
) -> None:
    async with key_set_server(tmp_path, LOGIN.jwks()) as server:
        server.answer = unavailable
        async with casino_of(tmp_path, authority, services, server).open() as casino:
            assert isinstance(casino, Casino)
            refused: Any = await casino.exchange()
    assert refused.error == (503, "temporarily_unavailable")
