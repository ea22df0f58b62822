"""The whole Check server with an issuer whose keys come by https: down at the start, back, rotated, shown."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

from ott_extauthz.authn.key_set_schedule import FLOOR_SECONDS
from ott_extauthz.bootstrap.check_server import build, serve
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.demo.pki import Authority
from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.observe.exposition import exposition
from ott_extauthz.observe.log import new_logger
from ott_extauthz.settings import load
from tests.collector import attributes, collecting
from tests.fakes.clock import SkewedClock
from tests.fakes.issuer import FakeIssuer
from tests.fakes.key_set_server import KeySetServer, key_set_server, until
from tests.wire.conftest import POLICY, Desk
from tests.wire.test_followed_key_sets import failing

OTT = """
listen: {{check: "127.0.0.1:0"}}
policy: policy.yaml
trust: [{{issuer: "{issuer}", jwks: "{url}", ca: ca.pem, algorithms: [EdDSA]}}]
clock: {{iat_lead: 1ms}}
drain: {{wait: 0ms, grace: 200ms}}
reload: {{every: 0s}}
"""


class Ahead(SkewedClock):
    """The machine's clock, whose steady part can be told to jump."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


def write(folder: Path, url: str, more: str = "") -> Path:
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "ott.yaml").write_text(OTT.format(issuer=FakeIssuer().issuer, url=url) + more)
    return folder / "ott.yaml"


@asynccontextmanager
async def serving(folder: Path, server: KeySetServer, clock: Ahead, more: str = "") -> AsyncIterator[Desk]:
    settings = load(write(folder, server.url, more), {})
    inputs, socket = check_inputs(settings, "ott.yaml"), folder / "c.sock"
    app = build(settings, inputs, address=f"unix://{socket}", logger=new_logger("error"), clock=clock)
    ending, is_serving = asyncio.Event(), asyncio.Event()
    served = asyncio.create_task(serve(app, admin=None, until=ending, on_serving=is_serving.set))
    await is_serving.wait()
    try:
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            await asyncio.sleep(0.01)  # past the fence of a list that was just made
            identity = Authority("test").issue("rgs", uri="spiffe://bank.example/rgs")
            yield Desk(app, channel, FakeIssuer(), identity)
    finally:
        ending.set()
        await served


async def reason(desk: Desk) -> str:
    answer = await desk.check(desk.request(("x-ott", desk.token())))
    return str(dict(answer.dynamic_metadata)["reason"])


async def test_an_issuer_that_is_down_at_the_start_keeps_the_server_up_and_unready(tmp_path: Path) -> None:
    clock = Ahead()
    async with key_set_server(tmp_path, FakeIssuer().jwks()) as server:
        server.answer = failing(503)
        async with serving(tmp_path, server, clock) as desk:
            response = await desk.check(desk.request(("x-ott", desk.token())))
            assert dict(response.dynamic_metadata)["reason"] == "key_set_unavailable"
            assert response.denied_response.status.code == 503
            assert json.loads(response.denied_response.body)["token_state"] == "unspent"
            assert (await desk.check(desk.request(path="/healthz", method="GET"))).status.code == 0
            ready, lines = await desk.app.readiness()
            assert not ready
            assert any("not fetched yet" in line for line in lines)
            assert any("answered 503" in line for line in lines)

            server.answer = None
            clock.ahead += FLOOR_SECONDS
            os.kill(os.getpid(), signal.SIGHUP)
            await until(lambda: desk.app.report().is_ready)
            assert await reason(desk) == "allowed"
            assert (await desk.app.readiness())[0]

            server.answer = failing(503)
            clock.ahead += 900
            os.kill(os.getpid(), signal.SIGHUP)
            await until(lambda: desk.app.sources.followed[0].in_force.failure is not None)
            assert await reason(desk) == "allowed"
            assert (await desk.app.readiness())[0], "an outage takes no server out of rotation"
            text = exposition(desk.app.metrics.registry)[0].decode()
            assert f'ott_key_set_confirmed_timestamp_seconds{{issuer="{desk.issuer.issuer}"}} 1' in text
            for result, count in (("loaded", 1), ("refused", 2)):
                line = f'ott_key_set_reloads_total{{issuer="{desk.issuer.issuer}",result="{result}"}} {count}.0'
                assert line in text


async def test_each_fetch_is_a_trace_of_its_own_and_belongs_to_no_check(tmp_path: Path) -> None:
    clock = Ahead()
    async with key_set_server(tmp_path, FakeIssuer().jwks()) as server:
        with collecting() as collector:
            tracing = f"tracing: {{endpoint: 'http://{collector.address}', every: 20ms}}\n"
            async with serving(tmp_path, server, clock, tracing) as desk:
                server.answer = failing(503)
                clock.ahead += 900
                desk.app.sources.followed[0].want()
                await until(lambda: len(collector.spans) == 2)
            first, second = collector.spans
        assert {span.name for span in (first, second)} == {f"fetch keys {desk.issuer.issuer}"}
        assert [(span.kind, span.parent_span_id, span.status.code) for span in (first, second)] == [
            (3, b"", 0), (3, b"", 2),
        ]  # fmt: skip
        assert first.trace_id != second.trace_id
        assert [attributes(span) for span in (first, second)] == [
            {"ott.asked": desk.issuer.issuer, "ott.result": result} for result in ("loaded", "refused")
        ]


async def test_a_rotation_is_followed_without_a_restart_and_without_a_gap(tmp_path: Path) -> None:
    clock, old, new = Ahead(), FakeIssuer(), FakeIssuer(kid="k2", seed=b"\2" * 32)
    both = [*json.loads(old.jwks())["keys"], *json.loads(new.jwks())["keys"]]
    async with key_set_server(tmp_path, old.jwks()) as server, serving(tmp_path, server, clock) as desk:
        followed = desk.app.sources.followed[0]
        for document, good, refused in [
            (json.dumps({"keys": both}).encode(), [old, new], []),
            (new.jwks(), [new], [old]),
        ]:
            server.document, before = document, followed.in_force.fingerprint
            clock.ahead += 900
            followed.want()
            await until(lambda before=before: followed.in_force.fingerprint != before)  # type: ignore[misc]
            for desk.issuer in good:
                assert await reason(desk) == "allowed"
            for desk.issuer in refused:
                assert await reason(desk) == "token_key_unknown"


def test_a_configuration_is_checked_without_the_network(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(Authority("test").certificate_pem)
    inputs = check_inputs(load(write(tmp_path, "https://192.0.2.1/jwks"), {}), "ott.yaml")
    assert not inputs.trust[FakeIssuer().issuer].keys


@pytest.mark.parametrize(
    ("url", "ca", "said"),
    [
        ("http://issuer.example/jwks", b"", r"trust\[0\]\.jwks: not an https URL"),
        ("https://u:p@issuer.example/jwks", b"", r"trust\[0\]\.jwks: not an https URL"),
        ("jwks.json", b"", "ca is for a jwks that is an https URL"),
        ("https://issuer.example/jwks", b"", r"trust\[0\]\.ca: .*ca\.pem holds no certificate"),
        ("https://issuer.example/jwks", None, r"trust\[0\]\.ca: .*ca\.pem cannot be read"),
    ],
)
def test_what_could_never_be_fetched_is_told_at_the_start(
    tmp_path: Path, url: str, ca: bytes | None, said: str
) -> None:
    if ca is not None:
        (tmp_path / "ca.pem").write_bytes(ca)
    with pytest.raises(DocumentError, match=said):
        check_inputs(load(write(tmp_path, url), {}), "ott.yaml")
