"""Key sets over real https: rotation without a gap, outages, floods, and answers that must change nothing."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from joserfc.jwk import ECKey

from ott_extauthz.authn.jwks import MAX_BYTES
from ott_extauthz.authn.key_set_schedule import FLOOR_SECONDS, KEPT_SECONDS, LONGEST_PAUSE_SECONDS
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.authn.signed_claims import KeyAwaited
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.reload.source import InForce, Result, Shown
from ott_extauthz.wire.followed_key_set import LONGEST_WAIT_SECONDS, MOST_WAITING, FollowedKeySet
from ott_extauthz.wire.key_set_http import HttpsKeySet
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import AUDIENCE, ISSUER, FakeIssuer
from tests.fakes.key_set_server import Answer, KeySetServer, key_set_server, until

OLD, NEW = FakeIssuer(), FakeIssuer(kid="k2", seed=b"\2" * 32)
SECRET = "do-not-quote-me"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One test is about how long a request may wait; in the others a fetch may take this machine longer than that."""
    monkeypatch.setattr("ott_extauthz.wire.followed_key_set.LONGEST_WAIT_SECONDS", 30.0)


def key_set(*issuers: FakeIssuer, **more: Any) -> bytes:
    keys = [key for issuer in issuers for key in json.loads(issuer.jwks())["keys"]]
    return json.dumps({"keys": keys, **more}).encode()


@dataclass
class Following:
    """One followed key set, a clock to set, and what was told."""

    followed: FollowedKeySet
    clock: FakeClock
    results: list[Result] = field(default_factory=list)
    fetches: list[tuple[str, float, Result]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
        assert source is self.followed
        del before
        self.results.append(result)

    def judged(self, issuer: FakeIssuer, kid: str | None = None) -> Reason | None:
        """Why a fresh token of this issuer is refused, by a verifier that was given the trust list once."""
        found = self.rejected(issuer, kid)
        return None if found is None else found.reason

    def rejected(self, issuer: FakeIssuer, kid: str | None = None) -> Rejection | None:
        verifier = OneTimeTokenVerifier(trust={ISSUER: self.followed.issuer}, iat_lead_ms=500, exp_leeway_ms=2000)
        token = issuer.token(issuer.claims(self.clock.now_ms()), {"kid": kid or issuer.kid})
        found = verifier.verify(token, audience=AUDIENCE, now_ms=self.clock.now_ms())
        return found if isinstance(found, Rejection) else None

    async def waited(self, issuer: FakeIssuer, kid: str | None = None, seconds: float = 30) -> Reason | None:
        """Why it is refused after a wait for its key, where one is offered."""
        found = self.rejected(issuer, kid)
        if isinstance(found, KeyAwaited):
            await found.arrival(seconds)
            return self.judged(issuer, kid)
        return None if found is None else found.reason

    def problems(self) -> str:
        failure = self.followed.in_force.failure
        return "" if failure is None else "; ".join(map(str, failure.problems))

    async def refresh_when_due(self) -> None:
        due_at = self.followed._schedule.due_at
        self.clock.advance(max(0, round((due_at - self.clock.monotonic()) * 1000)))
        await self.followed.refresh()


def following(
    server: KeySetServer,
    folder: Path,
    *,
    timeout_seconds: float = 10,
    judge: Callable[[TrustedIssuer], Iterable[str]] = lambda _: (),
) -> Following:
    clock = FakeClock()
    source = HttpsKeySet(url=server.url, ca=folder / "ca.pem", timeout_seconds=timeout_seconds)
    told: list[Following] = []

    class Listener:
        def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
            told[0].reloaded(source, result, before)

    def fetched(name: str, seconds: float, result: Result) -> None:
        told[0].fetches.append((name, seconds, result))

    faults: list[str] = []
    followed = FollowedKeySet(
        ISSUER, frozenset({"EdDSA"}), source,
        place=server.url, clock=clock, listener=Listener(), on_fault=faults.append, judge=judge, on_fetched=fetched,
    )  # fmt: skip
    told.append(Following(followed, clock, faults=faults))
    return told[0]


@asynccontextmanager
async def running(desk: Following) -> AsyncIterator[None]:
    task = asyncio.create_task(desk.followed.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_before_the_first_answer_every_token_is_refused_as_our_own_lack(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server:
        desk = following(server, tmp_path)
        assert (desk.judged(OLD), desk.followed.confirmed_ms) == (Reason.KEY_SET_UNAVAILABLE, None)
        await desk.followed.refresh()
        assert (desk.judged(OLD), desk.followed.confirmed_ms) == (None, desk.clock.now_ms())
        assert desk.judged(NEW) is Reason.TOKEN_KEY_UNKNOWN
        assert desk.results == [Result.LOADED]
        (sent,) = server.requests
        assert sent["Accept-Encoding"] == "identity"
        assert not {"Cookie", "Authorization", "If-None-Match"} & sent.keys()


async def test_each_fetch_is_told_with_its_time_and_what_came_of_it(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server:
        desk = following(server, tmp_path)

        async def slow(_: web.Request) -> web.StreamResponse:
            desk.clock.advance(250)
            return web.Response(status=503)

        await desk.followed.refresh()
        await desk.followed.refresh()
        server.answer = slow
        await desk.followed.refresh()
        assert desk.fetches == [
            (ISSUER, 0.0, Result.LOADED), (ISSUER, 0.0, Result.UNCHANGED), (ISSUER, 0.25, Result.REFUSED),
        ]  # fmt: skip


async def test_who_breaks_over_a_fetch_does_not_end_the_following(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server:
        desk = following(server, tmp_path)

        def broken(*_: object) -> None:
            raise RuntimeError(SECRET)

        desk.followed._on_fetched = broken
        await desk.followed.refresh()
        assert (desk.judged(OLD), desk.faults) == (None, ["RuntimeError"])


async def test_what_has_not_changed_is_confirmed_by_its_etag(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server:
        desk = following(server, tmp_path)
        for _ in range(3):
            await desk.refresh_when_due()
        assert ["If-None-Match" in sent for sent in server.requests] == [False, True, True]
        assert desk.results == [Result.LOADED, Result.UNCHANGED, Result.UNCHANGED]
        assert desk.followed.confirmed_ms == desk.clock.now_ms()
        server.document = key_set(NEW)
        await desk.refresh_when_due()
        assert (desk.judged(NEW), desk.judged(OLD)) == (None, Reason.TOKEN_KEY_UNKNOWN)


async def test_a_planned_rotation_leaves_no_gap_and_no_retired_key(tmp_path: Path) -> None:
    """Published before use, kept until the last token died, then gone within one life of the answer."""
    async with key_set_server(tmp_path, key_set(OLD)) as server:
        desk = following(server, tmp_path)
        server.cache_control = "max-age=60"
        for document, good, refused in [
            (key_set(OLD), [OLD], [NEW]),
            (key_set(OLD, NEW), [OLD, NEW], []),
            (key_set(NEW, OLD), [OLD, NEW], []),
            (key_set(NEW), [NEW], [OLD]),
        ]:
            server.document = document
            await desk.refresh_when_due()
            assert [desk.judged(issuer) for issuer in good] == [None] * len(good)
            assert [desk.judged(issuer) for issuer in refused] == [Reason.TOKEN_KEY_UNKNOWN] * len(refused)


async def test_an_outage_of_ten_minutes_refuses_no_known_key_and_one_of_a_day_every_key(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server:
        desk = following(server, tmp_path)
        await desk.followed.refresh()
        began = desk.clock.monotonic()
        server.answer = failing(503)
        while desk.clock.monotonic() - began < 600 + 300:  # ten minutes beyond the life of the last answer
            await desk.refresh_when_due()
            assert desk.judged(OLD) is None
        assert set(desk.results[1:]) == {Result.REFUSED}
        assert "answered 503" in desk.problems()
        desk.clock.advance(round((began + KEPT_SECONDS - desk.clock.monotonic()) * 1000) - 1)
        assert (desk.judged(OLD), desk.followed.is_believed) == (None, True)
        desk.clock.advance(1)
        assert (desk.judged(OLD), desk.followed.is_believed) == (Reason.KEY_SET_UNAVAILABLE, False)
        assert desk.followed.confirmed_ms is not None, "an outage takes no server out of rotation"
        server.answer = None
        await desk.followed.refresh()
        assert (desk.judged(OLD), desk.problems()) == (None, "")


async def test_a_flood_of_bogus_kids_is_one_fetch_at_a_time_and_one_in_five_seconds(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server, running(desk := following(server, tmp_path)):
        await until(lambda: desk.judged(OLD) is None)
        assert len(server.requests) == 1

        async def slowly(request: web.Request) -> web.StreamResponse:
            for number in range(20):
                assert desk.judged(OLD, kid=f"meanwhile-{number}") is Reason.TOKEN_KEY_UNKNOWN
                await asyncio.sleep(0)
            return await server._serve(request)

        server.answer = slowly
        for second in range(60):
            desk.clock.advance(1000)
            for number in range(50):
                assert desk.judged(OLD, kid=f"bogus-{second}-{number}") is Reason.TOKEN_KEY_UNKNOWN
            told = len(desk.results)
            if desk.followed._schedule.due_at <= desk.clock.monotonic():
                await until(lambda told=told: len(desk.results) > told)  # type: ignore[misc]
            assert desk.judged(OLD) is None
        assert len(server.requests) == 1 + 60 // FLOOR_SECONDS
        assert server.most_under_way == 1


async def test_an_unknown_kid_brings_the_key_that_nobody_announced(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server, running(desk := following(server, tmp_path)):
        await until(lambda: desk.judged(OLD) is None)
        server.document = key_set(NEW)
        assert desk.judged(NEW) is Reason.TOKEN_KEY_UNKNOWN
        desk.clock.advance(round(FLOOR_SECONDS * 1000))
        assert desk.judged(NEW) is Reason.TOKEN_KEY_UNKNOWN
        await until(lambda: desk.judged(NEW) is None)
        assert len(server.requests) == 2


async def test_the_first_token_of_an_unannounced_key_is_accepted_within_one_fetch(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server, running(desk := following(server, tmp_path)):
        await until(lambda: desk.judged(OLD) is None)
        desk.clock.advance(round(FLOOR_SECONDS * 1000))
        server.document = key_set(OLD, NEW)
        found = await asyncio.gather(*(desk.waited(NEW) for _ in range(20)))
        assert found == [None] * 20
        assert (len(server.requests), server.most_under_way) == (2, 1)


async def test_whoever_comes_while_the_fetch_is_under_way_waits_for_that_one(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server, running(desk := following(server, tmp_path)):
        await until(lambda: desk.judged(OLD) is None)
        begun, goes_on = asyncio.Event(), asyncio.Event()

        async def held(request: web.Request) -> web.StreamResponse:
            begun.set()
            await goes_on.wait()
            return await server._serve(request)

        server.document, server.answer = key_set(NEW), held
        desk.clock.advance(round(FLOOR_SECONDS * 1000))
        waiting = [asyncio.create_task(desk.waited(NEW))]
        await begun.wait()
        waiting.append(asyncio.create_task(desk.waited(NEW)))
        await asyncio.sleep(0)
        assert desk.judged(OLD) is None, "known keys wait for nothing"
        goes_on.set()
        assert await asyncio.gather(*waiting) == [None, None]
        assert len(server.requests) == 2


async def test_within_the_floor_an_unknown_key_is_refused_at_once(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server, running(desk := following(server, tmp_path)):
        await until(lambda: desk.judged(OLD) is None)
        server.document = key_set(NEW)
        assert desk.rejected(NEW) == Rejection(Reason.TOKEN_KEY_UNKNOWN)
        desk.clock.advance(round(FLOOR_SECONDS * 1000) - 1)
        assert desk.rejected(NEW) == Rejection(Reason.TOKEN_KEY_UNKNOWN)
        desk.clock.advance(1)
        assert await desk.waited(NEW) is None


async def test_a_flood_of_waiting_requests_is_bounded_and_is_one_fetch_in_five_seconds(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server, running(desk := following(server, tmp_path)):
        await until(lambda: desk.judged(OLD) is None)
        for second in range(30):
            desk.clock.advance(1000)
            kids = [f"bogus-{second}-{number}" for number in range(MOST_WAITING + 50)]
            tasks = [asyncio.create_task(desk.waited(OLD, kid=kid)) for kid in kids]
            await asyncio.sleep(0)
            assert desk.followed._waiting <= MOST_WAITING
            assert sum(task.done() for task in tasks) >= 50, "who comes too late in a crowd is refused at once"
            assert set(await asyncio.gather(*tasks)) == {Reason.TOKEN_KEY_UNKNOWN}
            assert desk.judged(OLD) is None
        assert len(server.requests) == 1 + 30 // FLOOR_SECONDS
        assert (server.most_under_way, desk.followed._waiting) == (1, 0)


async def test_nobody_waits_longer_than_allowed_for_an_issuer_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        key_set_server(tmp_path, key_set(OLD)) as server,
        running(desk := following(server, tmp_path, timeout_seconds=60)),
    ):
        await until(lambda: desk.judged(OLD) is None)
        desk.clock.advance(round(FLOOR_SECONDS * 1000))
        server.answer = trickling
        async with asyncio.timeout(30):  # the fetch itself would go on until its own time is over
            assert await desk.waited(NEW, seconds=0) is Reason.TOKEN_KEY_UNKNOWN
            monkeypatch.setattr("ott_extauthz.wire.followed_key_set.LONGEST_WAIT_SECONDS", 0.01)
            assert await desk.waited(NEW, seconds=3600) is Reason.TOKEN_KEY_UNKNOWN
        assert desk.judged(OLD) is None
        leaving = asyncio.create_task(desk.waited(NEW))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert desk.followed._waiting == 0
        assert LONGEST_WAIT_SECONDS <= 1


@pytest.mark.parametrize("turns", range(5))
async def test_whoever_follows_leaves_even_while_a_key_is_wanted(tmp_path: Path, turns: int) -> None:
    """A waiter of Python 3.11 that is woken and cancelled at once forgets the cancelling: a server would never end."""
    async with key_set_server(tmp_path, key_set(OLD)) as server:
        desk = following(server, tmp_path)
        task = asyncio.create_task(desk.followed.run())
        await until(lambda: desk.judged(OLD) is None)
        await asyncio.sleep(0.01)  # it waits for the next time
        desk.followed.want()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=30)
        task.cancel()
        assert done == {task}


async def test_a_set_suddenly_without_the_active_key_takes_it_back_and_gives_it_back(tmp_path: Path) -> None:
    """A key that is gone may have been stolen: its issuer's word counts at once, and so does its second thought."""
    async with key_set_server(tmp_path, key_set(OLD)) as server, running(desk := following(server, tmp_path)):
        await until(lambda: desk.judged(OLD) is None)
        server.document = key_set(NEW)
        desk.clock.advance(round(FLOOR_SECONDS * 1000))
        assert await desk.waited(NEW) is None
        assert desk.judged(OLD) is Reason.TOKEN_KEY_UNKNOWN
        server.document = key_set(OLD)
        desk.clock.advance(round(FLOOR_SECONDS * 1000))
        assert await desk.waited(OLD) is None
        assert len(server.requests) == 3


def answering(body: bytes, **more: Any) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, **more)

    return answer


def failing(status: int, **headers: str) -> Answer:
    return answering(SECRET.encode(), status=status, headers=headers)


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(MAX_BYTES // 65536 + 2):
        await response.write(b" " * 65536)
    await asyncio.sleep(60)  # the client must have left by now
    return response


async def trickling(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


async def cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(key_set(NEW))
    assert request.transport is not None
    request.transport.abort()
    return response


ES256 = ECKey.generate_key("P-256", {"kid": "k2"}, private=False).as_dict(private=False)
PRIVATE = json.dumps({"keys": [json.loads(NEW.jwks())["keys"][0] | {"d": SECRET}]}).encode()
SYMMETRIC = json.dumps({"keys": [{"kty": "oct", "kid": "k2", "k": SECRET}]}).encode()
BAD: dict[str, tuple[Answer, str]] = {
    "HTML": (answering(b"<html>do-not-quote-me</html>", content_type="text/html"), "not a JSON object"),
    "empty": (answering(b""), "not a JSON object"),
    "no keys": (answering(b'{"keys": []}'), "not a list of 1 to 100 keys"),
    "no key of use": (answering(key_set().replace(b"[]", b'[{"kty": "OKP", "use": "enc"}]')), "can verify"),
    "another algorithm": (answering(json.dumps({"keys": [ES256]}).encode()), "no key goes with the algorithms"),
    "garbage": (answering(bytes(range(256))), "not a JSON object"),
    "deep": (answering(b"[" * 100_000), "not a JSON object"),
    "a private key": (answering(PRIVATE), "a symmetric or private key"),
    "a symmetric key": (answering(SYMMETRIC), "a symmetric or private key"),
    "one kid twice": (answering(key_set(NEW, NEW)), "two keys have the kid"),
    "huge": (endless, "larger than"),
    "cut off": (cut_off, "cannot be fetched"),
    "a redirect": (failing(302, Location="https://127.0.0.1:1/jwks"), "redirects are not followed"),
    "a lasting redirect": (failing(308, Location="/other"), "redirects are not followed"),
    "not found": (failing(404), "answered 404"),
    "broken": (failing(500), "answered 500"),
    "no content": (answering(b"", status=204), "answered 204"),
    "compressed": (answering(gzip.compress(key_set(NEW)), headers={"Content-Encoding": "gzip"}), "compressed"),
}


async def test_a_set_that_is_refused_for_what_else_is_trusted_changes_nothing_and_is_told(tmp_path: Path) -> None:
    def judge(issuer: TrustedIssuer) -> list[str]:
        return ["a key of both formats"] if NEW.kid in issuer.keys else []

    async with key_set_server(tmp_path, key_set(OLD)) as server:
        desk = following(server, tmp_path, judge=judge)
        await desk.followed.refresh()
        server.document = key_set(OLD, NEW)
        await desk.refresh_when_due()
        assert desk.results == [Result.LOADED, Result.REFUSED]
        assert "a key of both formats" in desk.problems()
        assert (desk.judged(OLD), desk.judged(NEW)) == (None, Reason.TOKEN_KEY_UNKNOWN)


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_answer_changes_nothing_and_is_told(tmp_path: Path, kind: str) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server:
        desk = following(server, tmp_path)
        await desk.followed.refresh()
        server.answer, said = BAD[kind]
        await desk.refresh_when_due()
        assert (desk.judged(OLD), desk.judged(NEW)) == (None, Reason.TOKEN_KEY_UNKNOWN)
        assert desk.results == [Result.LOADED, Result.REFUSED]
        assert said in desk.problems()
        assert server.url in desk.problems()
        assert SECRET not in desk.problems()
        assert desk.faults == []
        assert desk.followed._schedule.due_at - desk.clock.monotonic() <= LONGEST_PAUSE_SECONDS
        server.answer, server.document = None, key_set(NEW)
        await desk.refresh_when_due()
        assert (desk.judged(NEW), desk.problems()) == (None, "")


async def test_an_answer_that_never_ends_is_given_up(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server:
        server.answer = trickling
        desk = following(server, tmp_path, timeout_seconds=0.3)
        await desk.followed.refresh()
        assert "no answer in time" in desk.problems()
        assert desk.judged(OLD) is Reason.KEY_SET_UNAVAILABLE


async def test_unchanged_is_no_answer_to_whoever_has_nothing(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server:
        server.answer = answering(b"", status=304)
        desk = following(server, tmp_path)
        await desk.followed.refresh()
        assert "answered 304" in desk.problems()
        assert desk.followed.confirmed_ms is None


def _of(make: Callable[[Authority], Leaf]) -> Callable[[Authority], Leaf]:
    return make


@pytest.mark.parametrize(
    "make",
    [
        _of(lambda _: Authority("another root").leaf("keys", ips=("127.0.0.1",))),
        _of(lambda authority: authority.leaf("keys", dns=("keys.example",))),
        _of(lambda authority: authority.leaf("127.0.0.1")),
        _of(lambda authority: authority.leaf("k", ips=("127.0.0.1",), not_after=datetime(2025, 1, 1, tzinfo=UTC))),
        _of(lambda authority: authority.leaf("keys", ips=("127.0.0.1",), key_identifiers=False)),
    ],
    ids=["another authority", "another name", "name in the subject alone", "expired", "no key identifiers"],
)
async def test_keys_of_whoever_cannot_prove_to_be_the_issuer_are_not_asked_for(
    tmp_path: Path, make: Callable[[Authority], Leaf]
) -> None:
    authority = Authority()
    async with key_set_server(tmp_path, key_set(OLD), authority=authority, leaf=make(authority)) as server:
        desk = following(server, tmp_path)
        await desk.followed.refresh()
        assert "cannot be fetched" in desk.problems()
        assert server.requests == []
        assert desk.judged(OLD) is Reason.KEY_SET_UNAVAILABLE


async def test_authorities_may_be_rotated_and_only_they_count(tmp_path: Path) -> None:
    async with key_set_server(tmp_path, key_set(OLD)) as server:
        good = (tmp_path / "ca.pem").read_bytes()
        desk = following(server, tmp_path)
        for pem, result in [(Authority().pem, Result.REFUSED), (b"", Result.REFUSED), (good, Result.LOADED)]:
            (tmp_path / "ca.pem").write_bytes(pem)
            await desk.followed.refresh()
            assert desk.results[-1] is result
        system = HttpsKeySet(url=server.url)
        unknown = FollowedKeySet(
            ISSUER, frozenset({"EdDSA"}), system,
            place="", clock=desk.clock, listener=Silent(), on_fault=pytest.fail,
        )  # fmt: skip
        await unknown.refresh()
        assert unknown.confirmed_ms is None


class Silent:
    """Listens to nothing."""

    def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
        """Take note of nothing."""


async def test_a_source_and_a_listener_that_break_do_not_end_the_following(tmp_path: Path) -> None:
    class Broken:
        asked = 0

        async def fetch(self, etag: str | None) -> Any:
            del etag
            self.asked += 1
            raise RuntimeError(SECRET)

    class BrokenListener:
        def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
            raise OSError(SECRET)

    del tmp_path
    source, faults, clock = Broken(), Counter[str](), FakeClock()
    followed = FollowedKeySet(
        ISSUER, frozenset({"EdDSA"}), source,
        place="https://a", clock=clock, listener=BrokenListener(), on_fault=lambda kind: faults.update([kind]),
    )  # fmt: skip
    async with running(Following(followed, clock)):
        await until(lambda: source.asked == 1)
        clock.advance(60_000)
        followed.want()
        await until(lambda: source.asked == 2)
    assert faults == {"RuntimeError": 2, "OSError": 2}
    failure = followed.in_force.failure
    assert failure is not None
    assert SECRET not in str(failure.problems)
