"""Policies change under traffic: every decision agrees with the revision it names, none fails, none is mixed."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import grpc.aio
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from ott_extauthz.bootstrap.check_server import CheckApp, build, serve
from ott_extauthz.bootstrap.inputs import CheckInputs, check_inputs
from ott_extauthz.demo.pki import Authority
from ott_extauthz.observe.log import new_logger
from ott_extauthz.settings import Settings
from tests.fakes.issuer import FakeIssuer
from tests.wire.conftest import Configure, Desk

CHANGES = 64
TASKS = 6
DECISIONS_EACH = 20


def policy(side: str, number: int) -> str:
    """`a` lets /x on and takes wallet:debit; `b` lets /y on and wants wallet:admin; routes say whose they are."""
    public, scope = ("/x", "wallet:debit") if side == "a" else ("/y", "wallet:admin")
    return (
        f'revision: "{side}-{number}"\nroutes:\n'
        f"  - {{name: {side}-public, match: {{path: {public}}}, credential: public}}\n"
        f"  - name: {side}-debit\n    match: {{methods: [POST], path: '/v1/wallets/{{wallet}}/debit'}}\n"
        f'    credential: one_time_token\n    audience: wallet.api\n    scopes: ["{scope}"]\n'
    )


BAD = (
    "revision: bad\nroutes: []\n",
    "revision: bad\nroutes:\n  - {name: all, match: {path: '/{rest**}'}, credential: nothing}\n",
    "{",
    "",
    "revision: bad\nroutes:\n  - {name: all, match: {path: '/{rest**}'}, credential: pub",
)
EXPECTED = {
    ("a", "/x"): "allowed",
    ("a", "/y"): "route_unknown",
    ("a", "debit"): "allowed",
    ("b", "/x"): "route_unknown",
    ("b", "/y"): "allowed",
    ("b", "debit"): "scope_missing",
}


@asynccontextmanager
async def serving(settings: Settings, socket: Path, inputs: CheckInputs | None = None) -> AsyncIterator[Desk]:
    """The whole server as `serve` runs it, reloading and SIGHUP included."""
    inputs = inputs or check_inputs(settings, "ott.yaml")
    app = build(settings, inputs, address=f"unix://{socket}", logger=new_logger("error"))
    until, is_serving = asyncio.Event(), asyncio.Event()
    served = asyncio.create_task(serve(app, admin=None, until=until, on_serving=is_serving.set))
    await is_serving.wait()
    try:
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            await asyncio.sleep(0.01)  # past the fence of a list that was just made
            identity = Authority("test").issue("rgs", uri="spiffe://bank.example/rgs")
            yield Desk(app, channel, FakeIssuer(), identity)
    finally:
        until.set()
        await served


def judged(what: str, response: CheckResponse) -> tuple[str, str]:
    """Return side and reason, and hold the parts of one answer to each other."""
    told = dict(response.dynamic_metadata)
    side, reason = told["policy_revision"].partition("-")[0], told["reason"]
    assert reason == EXPECTED[side, what], told
    assert (response.status.code == 0) == (reason == "allowed")
    if reason != "route_unknown":
        assert told["route"] == side + ("-debit" if what == "debit" else "-public")
    if reason == "allowed":
        headers = {option.header.key: option.header.value for option in response.ok_response.headers}
        assert headers["x-ott-policy-revision"] == told["policy_revision"]
    return side, told["policy_revision"]


async def traffic(desk: Desk, is_over: asyncio.Event, seen: "Counter[tuple[str, str]]") -> None:
    while not is_over.is_set():
        for what in ("/x", "/y", "debit"):
            request = desk.request(("x-ott", desk.token())) if what == "debit" else desk.request(path=what)
            seen[judged(what, await desk.check(request))] += 1


async def change_often(app: CheckApp, path: Path, seen: "Counter[tuple[str, str]]") -> None:
    """Change the policy: renamed into place, written in place, bad in between; each by SIGHUP, some in a storm."""
    for number in range(CHANGES):
        is_bad = number % 4 == 3
        write(
            path, BAD[number // 4 % len(BAD)] if is_bad else policy("ba"[number % 2], number), in_place=not number % 3
        )
        for _ in range(1 if number % 5 else 50):
            os.kill(os.getpid(), signal.SIGHUP)
        await until(partial(is_settled, app, number, is_bad=is_bad))
        await until(partial(has_seen, seen, seen.total() + DECISIONS_EACH))


def has_seen(seen: "Counter[tuple[str, str]]", total: int) -> bool:
    return seen.total() >= total


def write(path: Path, text: str, *, in_place: bool) -> None:
    new = path if in_place else path.with_name("new.yaml")
    new.write_text(text)
    new.rename(path)


def is_settled(app: CheckApp, number: int, *, is_bad: bool) -> bool:
    now = app.sources.policy.in_force
    return now.failure is not None if is_bad else now.failure is None and now.value.revision.endswith(f"-{number}")


async def until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + 60
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_every_decision_agrees_with_the_revision_it_names(
    transport: str, configured: Configure, tmp_path: Path
) -> None:
    settings = configured(transport, "reload: {every: 100ms}\n")
    (tmp_path / "policy.yaml").write_text(policy("a", 999))
    seen: Counter[tuple[str, str]] = Counter()
    async with serving(settings, tmp_path / "c.sock") as desk:
        is_over = asyncio.Event()
        callers = [asyncio.create_task(traffic(desk, is_over, seen)) for _ in range(TASKS)]
        await change_often(desk.app, tmp_path / "policy.yaml", seen)
        is_over.set()
        await asyncio.gather(*callers)
        value = desk.app.metrics.registry.get_sample_value
        for result, least in (("loaded", CHANGES * 3 / 4), ("refused", CHANGES / 4)):
            assert (value("ott_policy_reloads_total", {"policy": "enforced", "result": result}) or 0) >= least
    assert {side for side, _ in seen} == {"a", "b"}
    assert len({revision for _, revision in seen}) > CHANGES / 4
    assert seen.total() >= CHANGES * DECISIONS_EACH


async def test_old_revisions_leave_no_series_behind(configured: Configure, tmp_path: Path) -> None:
    async with serving(configured("native", "reload: {every: 0s}\n"), tmp_path / "c.sock") as desk:
        for number in range(5):
            (tmp_path / "policy.yaml").write_text(policy("a", number))
            os.kill(os.getpid(), signal.SIGHUP)
            await until(partial(is_settled, desk.app, number, is_bad=False))
        samples = [
            sample.labels
            for family in desk.app.metrics.registry.collect()
            if family.name == "ott_policy_info"
            for sample in family.samples
        ]
        assert samples == [{"policy": "enforced", "revision": "a-4"}]


async def test_a_shadow_policy_is_asked_after_the_answer_and_reloads_too(configured: Configure, tmp_path: Path) -> None:
    settings = configured("native", "shadow_policy: shadow.yaml\nreload: {every: 0s}\naudit: {path: audit}\n")
    (tmp_path / "policy.yaml").write_text(policy("a", 1))
    (tmp_path / "shadow.yaml").write_text(policy("b", 1))
    async with serving(settings, tmp_path / "c.sock") as desk:
        value = desk.app.metrics.registry.get_sample_value

        def disagreements(outcome: str, route: str) -> float | None:
            return value("ott_shadow_disagreements_total", {"route": route, "outcome": outcome})

        judged("debit", await desk.check(desk.request(("x-ott", desk.token()))))
        await until(lambda: disagreements("deny", "b-debit") == 1)
        judged("/y", await desk.check(desk.request(path="/y")))
        await until(lambda: disagreements("allow", "b-public") == 1)
        (tmp_path / "shadow.yaml").write_text(policy("a", 2))
        os.kill(os.getpid(), signal.SIGHUP)
        shadow = desk.app.sources.shadow_policy
        assert shadow is not None
        await until(lambda: shadow.in_force.value.revision == "a-2")
        judged("debit", await desk.check(desk.request(("x-ott", desk.token()))))
        agreed = {"by": "policy", "route": "a-debit", "outcome": "allow", "code": "OK"}
        await until(lambda: value("ott_shadow_decisions_total", agreed) == 1)
        assert disagreements("deny", "b-debit") == 1
    assert (tmp_path / "audit").is_dir()


async def test_a_change_during_the_start_is_a_change(configured: Configure, tmp_path: Path) -> None:
    settings = configured("native", "reload: {every: 100ms}\n")
    inputs = check_inputs(settings, "ott.yaml")
    (tmp_path / "policy.yaml").write_text(policy("a", 1))
    async with serving(settings, tmp_path / "c.sock", inputs) as desk:
        assert desk.app.sources.policy.current().revision == "r1"
        await until(partial(is_settled, desk.app, 1, is_bad=False))


async def test_a_route_in_shadow_smuggles_no_identity_to_the_upstream(configured: Configure, tmp_path: Path) -> None:
    settings = configured("native", "")
    in_shadow = policy("b", 1).replace("    audience", "    mode: shadow\n    audience")
    (tmp_path / "policy.yaml").write_text(in_shadow)
    async with serving(settings, tmp_path / "c.sock") as desk:
        spoofed = [("x-ott-subject", "admin"), ("x-ott-made-up", "1")]
        response = await desk.check(desk.request(("x-ott", desk.token()), *spoofed))
    assert response.status.code == 0
    assert {option.header.key for option in response.ok_response.headers} == {
        "x-ott-decision-id",
        "x-ott-policy-revision",
    }
    assert {"x-ott", "x-ott-subject", "x-ott-made-up"} <= set(response.ok_response.headers_to_remove)
    told = dict(response.dynamic_metadata)
    assert (told["shadow_outcome"], told["shadow_reason"]) == ("deny", "scope_missing")


async def test_a_rotated_key_set_is_followed_without_a_restart(configured: Configure, tmp_path: Path) -> None:
    (settings, other) = configured("native", "reload: {every: 0s}\n"), FakeIssuer(kid="k2", seed=b"\2" * 32)
    async with serving(settings, tmp_path / "c.sock") as desk:
        keys = desk.app.sources.key_sets[0]
        old = desk.token()
        (tmp_path / "jwks.json").write_bytes(b'{"keys": []}')
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: keys.in_force.failure is not None)
        assert (await desk.check(desk.request(("x-ott", old)))).status.code == 0
        (tmp_path / "jwks.json").write_bytes(other.jwks())
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: keys.in_force.failure is None)
        refused = await desk.check(desk.request(("x-ott", desk.token())))
        assert dict(refused.dynamic_metadata)["reason"] == "token_key_unknown"
        desk.issuer = other
        assert (await desk.check(desk.request(("x-ott", desk.token())))).status.code == 0
