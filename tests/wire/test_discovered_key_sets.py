"""Keys found by the issuer's own metadata, over real https: moved, lost, forged, and leading elsewhere."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from ott_extauthz.authn.discovery import MAX_METADATA_BYTES, WellKnown, metadata_url
from ott_extauthz.authn.key_set_schedule import REDISCOVERED_SECONDS
from ott_extauthz.wire.discovered_key_set import DiscoveredKeySet
from ott_extauthz.wire.key_set_http import FetchError
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import FakeIssuer
from tests.fakes.key_set_server import KeySetServer, key_set_server

SECRET = "do-not-quote-me"


@dataclass
class Idp:
    """An issuer on loopback: what it says of itself, what it says by path, and who looks for its keys."""

    server: KeySetServer
    issuer: str
    clock: FakeClock
    source: DiscoveredKeySet
    metadata: dict[str, Any]
    pages: dict[str, web.Response | str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        page = self.pages.get(request.path)
        if page == "metadata":
            return web.json_response(self.metadata)
        return await self.server._serve(request) if page is None else web.Response(status=503, text=SECRET)

    async def why(self) -> str:
        with pytest.raises(FetchError) as raised:
            await self.source.fetch(None)
        assert SECRET not in str(raised.value)
        return str(raised.value)


@pytest.fixture(params=[WellKnown.OPENID, WellKnown.OAUTH])
async def idp(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Idp]:
    async with key_set_server(tmp_path, FakeIssuer().jwks()) as server:
        base = server.url.removesuffix("/jwks?brand=a")
        issuer, clock = f"{base}/tenant", FakeClock()
        url = metadata_url(issuer, request.param)
        source = DiscoveredKeySet(
            issuer=issuer, metadata=url, hosts=["keys.example"], ca=tmp_path / "ca.pem", clock=clock
        )
        metadata = {"issuer": issuer, "jwks_uri": f"{base}/keys"}
        found = Idp(server, issuer, clock, source, metadata, {url.removeprefix(base): "metadata"})
        server.answer = found.answer
        yield found


def page_of(idp: Idp) -> str:
    return next(iter(idp.pages))


async def test_the_metadata_is_asked_for_once_an_hour_and_the_keys_each_time(idp: Idp) -> None:
    etag = (await idp.source.fetch(None)).etag
    assert (await idp.source.fetch(etag)).document is None, "the ETag of the keys was theirs"
    assert (await idp.source.fetch(etag)).document is None
    assert idp.asked == [page_of(idp), "/keys", "/keys", "/keys"]
    idp.clock.advance(round(REDISCOVERED_SECONDS * 1000) - 1)
    await idp.source.fetch(etag)
    idp.clock.advance(1)
    await idp.source.fetch(etag)
    assert idp.asked[4:] == ["/keys", page_of(idp), "/keys"]


async def test_keys_that_moved_are_found_anew_and_never_by_the_old_places_etag(idp: Idp) -> None:
    etag = (await idp.source.fetch(None)).etag
    idp.metadata["jwks_uri"] = idp.metadata["jwks_uri"] + "-2"
    idp.clock.advance(round(REDISCOVERED_SECONDS * 1000))
    fetched = await idp.source.fetch(etag)
    assert idp.asked[-1] == "/keys-2"
    assert fetched.document == FakeIssuer().jwks()
    assert "If-None-Match" not in idp.server.requests[-1]


async def test_a_place_that_does_not_answer_is_asked_for_anew_at_the_next_fetch(idp: Idp) -> None:
    await idp.source.fetch(None)
    idp.pages["/keys"] = web.Response(status=503)
    assert await idp.why() == "jwks_uri: answered 503"
    idp.metadata["jwks_uri"] = idp.metadata["jwks_uri"] + "-2"
    assert (await idp.source.fetch(None)).document == FakeIssuer().jwks()
    assert idp.asked == [page_of(idp), "/keys", "/keys", page_of(idp), "/keys-2"]


async def test_an_outage_of_the_metadata_alone_is_none_of_the_keys(idp: Idp) -> None:
    await idp.source.fetch(None)
    idp.pages[page_of(idp)] = web.Response(status=503)
    idp.clock.advance(round(REDISCOVERED_SECONDS * 1000))
    for _ in range(2):
        assert (await idp.source.fetch(None)).document == FakeIssuer().jwks()
    assert idp.asked[2:] == [page_of(idp), "/keys"] * 2


async def test_without_metadata_there_is_no_place_to_ask(idp: Idp) -> None:
    idp.pages[page_of(idp)] = web.Response(status=503)
    assert await idp.why() == "metadata: answered 503"
    assert idp.asked == [page_of(idp)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": "https://evil.example"}, "not exactly the one"),
        ({"issuer": None}, "not exactly the one"),
        ({"jwks_uri": None}, "not an https URL"),
        ({"jwks_uri": "http://127.0.0.1/keys"}, "not an https URL"),
        ({"jwks_uri": "https://169.254.169.254/latest"}, "on another host"),
        ({"jwks_uri": "https://127.0.0.1:1/keys"}, "on another host"),
        ({"padding": "x" * MAX_METADATA_BYTES}, "larger than"),
    ],
)
async def test_wrong_metadata_leads_nowhere_even_after_right_one(idp: Idp, changes: dict[str, Any], said: str) -> None:
    right = dict(idp.metadata)
    idp.metadata |= changes
    assert said in await idp.why()
    assert idp.asked == [page_of(idp)], "nothing but the metadata was asked for"
    idp.metadata = right
    await idp.source.fetch(None)
    idp.metadata = right | changes
    idp.clock.advance(round(REDISCOVERED_SECONDS * 1000))
    if "padding" in changes:  # cannot be had, as in an outage: the place that was named last is asked
        assert (await idp.source.fetch(None)).document is not None
    else:
        assert said in await idp.why()
        assert idp.asked[-1] == page_of(idp)


async def test_a_redirect_of_the_metadata_is_not_followed(idp: Idp) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        idp.asked.append(request.path)
        raise web.HTTPFound("/elsewhere")

    idp.server.answer = redirect
    assert "redirects are not followed" in await idp.why()
    assert idp.asked == [page_of(idp)]
