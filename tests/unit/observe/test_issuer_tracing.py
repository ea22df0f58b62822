"""A request to the issuer as spans: what is in them, whose children they are, and what is never there."""

import asyncio
import itertools
from collections.abc import Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from ott_extauthz.issuer.clients import clients_from
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode
from ott_extauthz.issuer.once import FirstUse, Once
from ott_extauthz.issuer.order import MintOrder
from ott_extauthz.issuer.possession import NoProofs
from ott_extauthz.issuer.request import Requester, TokenRequest, invalid_request
from ott_extauthz.issuer.token_endpoint import Issued, TokenEndpoint
from ott_extauthz.issuer.trail import Door, Minting, NoTrail, Refusal
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.rejection import TokenState
from ott_extauthz.model.trace_context import TraceContext
from ott_extauthz.observe.issuer_spans import request_spans
from ott_extauthz.observe.issuer_steps import (
    TimedAuthenticator,
    TimedGrant,
    TimedPossession,
    TimedRing,
    TimedTrail,
    TimedUsedList,
)
from ott_extauthz.observe.issuer_tracing import RequestSpans, TimedRequest
from ott_extauthz.observe.sampling import Sampling
from ott_extauthz.observe.span_maker import SpanMaker
from ott_extauthz.ports import AuditError, SigningError, Spend, SpendOutcome, Use, UsedListError, UsedListFault
from ott_extauthz.sections.tracing import Tracing
from tests.fakes.clock import FakeClock
from tests.fakes.issuing import OneKey
from tests.fakes.used_list import AnsweringUsedList
from tests.issuer_bank import CLIENTS

CONTEXT = TraceContext("1" * 32, "2" * 16, is_sampled=True)
CLIENT = clients_from(CLIENTS, "clients.yaml")["rgs"]
STEPS = ["authenticate", "bind", "grant", "sign", "audit"]
SECRET = "hunter2-hunter2"


class Slow(AnsweringUsedList):
    """A used-list that takes 7 ms."""

    def __init__(self, clock: FakeClock, fault: UsedListFault | None) -> None:
        super().__init__([SpendOutcome.FIRST_USE if fault is None else UsedListError(fault, TokenState.UNKNOWN, "no")])
        self.clock = clock

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:
        self.clock.advance(7)
        return await super().mark_used(use, timeout=timeout)


class Signing:
    """A key that takes 3 ms, or cannot sign."""

    kid, algorithm = "k1", "EdDSA"

    def __init__(self, clock: FakeClock, *, is_broken: bool) -> None:
        self.clock, self.is_broken = clock, is_broken

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        self.clock.advance(3)
        if self.is_broken:
            raise SigningError(SECRET)
        return [bytes(64)] * len(messages)


class Spending:
    """Authenticates the one client, once for each of its assertions."""

    methods = ()

    def __init__(self, once: Once) -> None:
        self.once = once

    async def authenticate(self, request: TokenRequest) -> Requester | OAuthError:
        first = await self.once.spend("p", SECRET, issued_at_ms=1, expires_at_ms=2, now_ms=1)
        if first is not FirstUse.YES:
            return OAuthError(OAuthErrorCode.TEMPORARILY_UNAVAILABLE, "the store", 503)
        return Requester(client=CLIENT, jkt=Thumbprint(bytes(32)))


class AnyGrant:
    """Grants anything, with a text of the client's in it; or refuses."""

    def __init__(self, refusal: OAuthError | None) -> None:
        self.refusal = refusal

    async def judge(self, request: TokenRequest, requester: Requester) -> MintOrder | OAuthError:
        return self.refusal or MintOrder(
            subject=SECRET, client_id="rgs", audience="wallet.api", scope=frozenset({SECRET}), lifetime_ms=30_000
        )


class FullDisk(NoTrail):
    def minted(self, minting: Minting) -> None:
        raise AuditError(SECRET)


class Traced:
    """A token endpoint whose requests are told as spans."""

    def __init__(
        self, *, fault: UsedListFault | None = None, refusal: OAuthError | None = None, is_broken: bool = False,
        trail: NoTrail | None = None, ring_at: str | None = None, **settings: object,
    ) -> None:  # fmt: skip
        self.clock = clock = FakeClock()
        self.told: list[TimedRequest] = []
        self.faults: list[str] = []
        made = Tracing.model_validate({"endpoint": "http://collector:4317", "ratio": 1} | settings)
        numbers = itertools.count(1)

        def entropy(count: int) -> bytes:
            return next(numbers).to_bytes(count)

        self.spans = spans = RequestSpans(
            sampling=Sampling(made, clock.monotonic), monotonic=clock.monotonic, entropy=entropy,
            tell=self.told.append, later=lambda run: run(), on_fault=self.faults.append,
        )  # fmt: skip
        used_list = TimedUsedList(Slow(clock, fault), "redis", spans)
        once = Once(used_list=used_list, entropy=entropy, on_fault=lambda _: None, exp_leeway_ms=0, max_skew_ms=0)
        rings = {"": TimedRing(OneKey(Signing(clock, is_broken=is_broken)), ring_at, spans)}
        self.trail = TimedTrail(trail or NoTrail(), spans)
        self.endpoint = TokenEndpoint(
            authenticator=TimedAuthenticator(Spending(once), spans),
            grants={"any": TimedGrant(AnyGrant(refusal), spans)},
            minter=Minter(issuer="https://i.example", rings=rings, clock=clock, entropy=entropy),
            possession=TimedPossession(NoProofs(), spans), trail=self.trail,
        )  # fmt: skip
        self.maker = SpanMaker(
            resource=Resource({}), entropy=entropy, wall_ns=lambda: clock.now_ms() * 1_000_000,
            monotonic=clock.monotonic,
        )  # fmt: skip

    async def ask(self, context: TraceContext | None = CONTEXT, **form: str) -> Issued | OAuthError:
        """Have a request answered as the endpoints do it, in a task of its own."""

        async def answered() -> Issued | OAuthError:
            trace_id = self.spans.arrived(Door.TOKEN, context)
            self.clock.advance(1)
            sent = {name: [text] for name, text in ({"grant_type": "any"} | form).items()}
            answer = await self.endpoint.answer(
                TokenRequest(form=sent, certificate=None, trace_id=trace_id, now_ms=self.clock.now_ms())
            )
            if isinstance(answer, OAuthError):
                self.trail.refused(Refusal(at_ms=1, door=Door.TOKEN, error=answer, trace_id=trace_id))
            self.spans.answered()
            return answer

        return await asyncio.create_task(answered())

    async def tell(self, context: TraceContext | None = CONTEXT, **form: str) -> list[ReadableSpan]:
        await self.ask(context, **form)
        return [span for timed in self.told for span in request_spans(self.maker, timed)]


def names(spans: list[ReadableSpan]) -> list[str]:
    return [span.name for span in spans]


def milliseconds(span: ReadableSpan) -> float:
    return ((span.end_time or 0) - (span.start_time or 0)) / 1e6


def parent_of(span: ReadableSpan, spans: list[ReadableSpan]) -> str | None:
    by_id = {each.context.span_id: each.name for each in spans if each.context}
    return by_id.get(span.parent.span_id) if span.parent else None


async def test_a_request_is_a_span_with_a_child_for_each_step_and_one_below_for_whom_it_asked() -> None:
    spans = await Traced(ring_at="vault").tell()
    assert names(spans) == ["token", "authenticate", "spend redis", "bind", "grant", "sign vault", "audit"]
    own, store, sign = spans[0], spans[2], spans[5]
    assert own.kind is SpanKind.SERVER
    assert own.parent is not None
    assert (f"{own.parent.trace_id:032x}", f"{own.parent.span_id:016x}", own.parent.is_remote) == (
        "1" * 32, "2" * 16, True,
    )  # fmt: skip
    assert {span.context.trace_id for span in spans if span.context} == {int("1" * 32, 16)}
    assert [parent_of(span, spans) for span in spans] == [None, "token", "authenticate", *["token"] * 4]
    assert (store.kind, sign.kind) == (SpanKind.CLIENT, SpanKind.CLIENT)
    assert [milliseconds(each) for each in (own, store, sign)] == [11, 7, 3]
    assert names(await Traced().tell()) == ["token", "authenticate", "spend redis", *STEPS[1:]], "a key that is here"


async def test_the_attributes_are_a_closed_list_without_a_word_of_the_clients() -> None:
    traced = Traced()
    spans = await traced.tell(scope=SECRET, resource=SECRET, client_id=SECRET, subject_token=SECRET)
    [timed] = traced.told
    assert timed.minting is not None
    assert dict(spans[0].attributes or {}) == {
        "http.request.method": "POST", "ott.door": "token", "ott.outcome": "issued", "ott.client_id": "rgs",
        "ott.method": "tls_client_auth", "ott.grant_type": "any", "ott.audience": "wallet.api", "ott.kind": "ott+jwt",
        "ott.ring": "default", "ott.count": "1", "ott.token_id": timed.minting.tokens[0].public_id,
    }  # fmt: skip
    assert timed.minting.trace_id == "1" * 32
    assert SECRET not in "".join(span.to_json() for span in spans)


async def test_a_refusal_says_why_and_is_no_error_of_ours() -> None:
    spans = await Traced(refusal=invalid_request(SECRET)).tell()
    attributes = dict(spans[0].attributes or {})
    assert names(spans) == ["token", "authenticate", "spend redis", "bind", "grant", "audit"], "it stopped there"
    assert (attributes["ott.outcome"], attributes["ott.error"], attributes["ott.client_id"]) == (
        "refused", "invalid_request", "rgs",
    )  # fmt: skip
    assert all(span.status.status_code is StatusCode.UNSET for span in spans)
    assert SECRET not in "".join(span.to_json() for span in spans)


async def test_a_store_that_fails_is_an_error_of_the_request_and_of_the_question() -> None:
    spans = await Traced(fault=UsedListFault.TIMEOUT).tell()
    broken = {span.name for span in spans if span.status.status_code is StatusCode.ERROR}
    assert broken == {"token", "spend redis"}
    assert (spans[2].attributes or {})["error.type"] == "timeout"
    assert "ott.client_id" not in (spans[0].attributes or {}), "nobody was authenticated"


async def test_a_key_that_cannot_sign_and_an_audit_that_cannot_be_written_are_errors() -> None:
    unsigned = await Traced(is_broken=True, ring_at="aws_kms").tell()
    assert [span.status.status_code for span in unsigned if span.name in ("token", "sign aws_kms")] == [
        StatusCode.ERROR, StatusCode.ERROR,
    ]  # fmt: skip
    unwritten = await Traced(trail=FullDisk()).tell()
    assert unwritten[0].status.status_code is StatusCode.ERROR
    assert (unwritten[0].attributes or {})["ott.outcome"] == "refused", "a token that is written nowhere is none"
    assert "ott.token_id" not in (unwritten[0].attributes or {})
    assert SECRET not in "".join(span.to_json() for span in [*unsigned, *unwritten])


async def test_a_request_of_no_trace_begins_one_and_audit_and_span_have_the_same() -> None:
    traced = Traced()
    own = (await traced.tell(context=None))[0]
    [timed] = traced.told
    assert (own.parent, timed.minting and timed.minting.trace_id) == (None, timed.trace_id)
    assert own.context is not None
    assert f"{own.context.trace_id:032x}" == timed.trace_id


async def test_a_client_that_says_traced_has_nothing_traced_where_its_word_does_not_count() -> None:
    """No proxy is known to have written the header, so `envoy` follows nobody here."""
    for parent, spans in (("envoy", 0), ("ignore", 0), ("request", 7)):
        assert len(await Traced(ratio=0, parent=parent).tell()) == spans
    flooding = Traced(ratio=0, parent="request", followed_per_second=3)
    for _ in range(50):
        flooding.spans.arrived(Door.TOKEN, CONTEXT)
        flooding.spans.answered()
    assert len(flooding.told) == 3


async def test_a_trace_that_is_not_followed_is_still_named_for_audit_and_log() -> None:
    traced = Traced(ratio=0)
    assert (traced.spans.arrived(Door.TOKEN, CONTEXT), traced.spans.arrived(Door.TOKEN, None)) == ("1" * 32, None)


async def test_a_connection_that_is_kept_leaves_nothing_of_one_request_in_the_next() -> None:
    """One task serves many requests of a connection."""
    traced = Traced(ratio=0, parent="request")
    traced.spans.arrived(Door.TOKEN, CONTEXT)
    traced.spans.arrived(Door.TOKEN, None)  # the first was never answered
    with traced.spans.part("grant") as part:
        assert part is None
    traced.spans.answered()
    assert traced.told == []


async def test_a_step_done_for_each_token_of_a_batch_is_one_span() -> None:
    traced = Traced()
    traced.spans.arrived(Door.GRPC, CONTEXT)
    for _ in range(256):
        with traced.spans.part("grant"):
            traced.clock.advance(1)
    traced.spans.answered()
    spans = request_spans(traced.maker, traced.told[0])
    assert [(span.name, milliseconds(span)) for span in spans] == [("mint", 256), ("grant", 256)]
    assert "ott.outcome" not in (spans[0].attributes or {}), "whoever asked had left"


async def test_two_requests_at_once_do_not_share_their_steps() -> None:
    traced = Traced()
    await asyncio.gather(*(traced.ask() for _ in range(3)))
    assert [len(timed.parts) for timed in traced.told] == [6, 6, 6]


async def test_what_breaks_here_takes_no_answers_place() -> None:
    traced = Traced()

    def broken(*_: object) -> bytes:
        raise RuntimeError(SECRET)

    traced.spans._tell = broken  # type: ignore[assignment]
    assert isinstance(await traced.ask(), Issued)
    traced.spans._later = broken  # type: ignore[assignment]
    assert isinstance(await traced.ask(), Issued)
    traced.spans._entropy = broken
    assert traced.spans.arrived(Door.TOKEN, CONTEXT) == "1" * 32
    assert isinstance(await traced.ask(), Issued)
    assert traced.faults == ["RuntimeError"] * 4
