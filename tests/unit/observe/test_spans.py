"""A Check as spans: what is in them, whose children they are, and what is never there."""

import asyncio
from dataclasses import replace

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from ott_extauthz.model.decision import Allow
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.rejection import TokenState
from ott_extauthz.model.step import Step
from ott_extauthz.observe.sampling import Sampling
from ott_extauthz.observe.span_maker import SpanMaker
from ott_extauthz.observe.spans import check_spans
from ott_extauthz.observe.timing import CheckTimes, Timed
from ott_extauthz.observe.tracing import TracedChecks
from ott_extauthz.ports import Spend, SpendOutcome, StoreHealth, Use, UsedListError, UsedListFault
from ott_extauthz.sections.tracing import Tracing
from tests.fakes.clock import FakeClock
from tests.fakes.desk import Desk

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{PARENT}-01"
ALLOWED = ["decode", "route", "credential", "verify", "bind", "authorize", "spend", "allow", "audit", "encode"]


class SlowList:
    """A used-list that takes 7 ms by the desk's clock, or fails after them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.fault: UsedListFault | None = None

    async def start(self) -> None:
        return

    async def mark_used(self, use: Use, *, timeout: float) -> Spend:
        self.clock.advance(7)
        if self.fault is not None:
            raise UsedListError(self.fault, TokenState.UNKNOWN, "gone")
        return Spend(SpendOutcome.FIRST_USE)

    async def health(self) -> StoreHealth:
        return StoreHealth(ready=True, detail="")

    async def close(self) -> None:
        return


class Traced:
    """A desk whose Checks are told as spans."""

    def __init__(self, store: str | None = "redis", **settings: object) -> None:
        self.used_list = SlowList()
        self.desk = desk = Desk(self.used_list)
        self.used_list.clock = desk.clock
        self.told: list[Timed] = []
        self.faults: list[str] = []
        made = Tracing.model_validate({"endpoint": "http://collector:4317", "ratio": 1, **settings})
        self.checks = TracedChecks(
            sampling=Sampling(made, desk.clock.monotonic), tell=self.told.append, later=lambda run: run(),
            on_fault=self.faults.append,
        )  # fmt: skip
        self.listener = CheckTimes(
            monotonic=desk.clock.monotonic, tell=[self._answered],
            on_fault=self.faults.append, store=store,
        )  # fmt: skip
        single_use = replace(desk.checker.single_use, observer=self.listener)
        desk.checker = replace(desk.checker, observer=self.listener, single_use=single_use, is_timed=True)
        self.maker = SpanMaker(
            resource=Resource({}), entropy=desk.entropy, wall_ns=lambda: desk.clock.now_ms() * 1_000_000,
            monotonic=desk.clock.monotonic,
        )  # fmt: skip

    def _answered(self, timed: Timed) -> None:
        self.checks.answered(timed)  # looked up now: a test may put another in its place

    async def check(self, facts: Facts) -> list[ReadableSpan]:
        """Have a Check answered as the servicer does it, in a task of its own; return its spans."""

        async def answered() -> None:
            self.listener.arrived()
            self.desk.clock.advance(1)
            await self.desk.ask(facts)
            self.desk.clock.advance(2)
            self.listener.answered()

        await asyncio.create_task(answered())
        return [span for timed in self.told for span in check_spans(self.maker, timed)]


def named(spans: list[ReadableSpan]) -> dict[str, ReadableSpan]:
    found = {span.name: span for span in spans}
    assert len(found) == len(spans)
    return found


def milliseconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e6


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    found: int = span.context.span_id
    return found


async def test_a_check_is_a_span_with_a_child_for_each_step_and_one_below_for_the_store() -> None:
    traced = Traced()
    started = traced.desk.clock.now_ms()
    spans = named(await traced.check(traced.desk.facts(("x-ott", traced.desk.token()), ("traceparent", SAMPLED))))
    assert list(spans) == ["Check wallet-debit", *ALLOWED[:7], "spend redis", *ALLOWED[7:]]
    own = spans["Check wallet-debit"]
    assert own.kind is SpanKind.SERVER
    assert own.parent is not None
    assert (f"{own.parent.trace_id:032x}", f"{own.parent.span_id:016x}", own.parent.is_remote) == (TRACE, PARENT, True)
    assert own.start_time == started * 1_000_000
    assert (milliseconds(own), milliseconds(spans["decode"]), milliseconds(spans["encode"])) == (10, 1, 2)
    store = spans.pop("spend redis")
    assert store.kind is SpanKind.CLIENT
    assert store.parent is not None
    assert store.parent.span_id == id_of(spans["spend"])
    assert milliseconds(store) == milliseconds(spans["spend"]) == 7
    assert {span.parent.span_id for name, span in spans.items() if span is not own and span.parent} == {id_of(own)}
    assert all(span.context is not None and f"{span.context.trace_id:032x}" == TRACE for span in spans.values())
    assert len({id_of(span) for span in spans.values()}) == len(spans)


async def test_a_check_that_belongs_to_no_trace_begins_one_under_its_decisions_id() -> None:
    traced = Traced()
    own = (await traced.check(traced.desk.facts(("x-ott", traced.desk.token()))))[0]
    [timed] = traced.told
    assert timed.record is not None
    assert own.parent is None
    assert own.context is not None
    assert f"{own.context.trace_id:032x}" == timed.record.decision.decision_id


async def test_the_attributes_are_a_closed_list() -> None:
    traced = Traced()
    token = traced.desk.token()
    facts = traced.desk.facts(("x-ott", token), ("tracestate", "a=hunter2"), ("user-agent", "hunter2"))
    spans = await traced.check(replace(facts, path="/v1/wallets/7/debit?password=hunter2"))
    [timed] = traced.told
    assert timed.record is not None
    decision = timed.record.decision
    assert isinstance(decision, Allow)
    assert decision.spent is not None
    token_id = decision.spent.token.public_id
    assert dict(spans[0].attributes or {}) == {
        "rpc.system": "grpc", "rpc.service": "envoy.service.auth.v3.Authorization", "rpc.method": "Check",
        "ott.decision_id": decision.decision_id, "ott.outcome": "allow", "ott.route": "wallet-debit",
        "ott.policy_revision": "r1", "ott.client_id": "rgs", "ott.token_id": token_id,
    }  # fmt: skip
    shown = "".join(span.to_json() for span in spans)
    assert "hunter2" not in shown
    assert "wallets" not in shown
    assert not any(part in shown for part in token.split("."))


async def test_a_refusal_says_why_and_is_no_error_of_ours() -> None:
    traced = Traced()
    spans = await traced.check(traced.desk.facts(("x-ott", "a.b.c")))
    assert (spans[0].attributes or {})["ott.reason"] == "token_malformed"
    assert (spans[0].attributes or {})["ott.code"] == "AUTH_FAILED"
    assert all(span.status.status_code is StatusCode.UNSET for span in spans)
    assert [span.name for span in spans][-3:] == [Step.VERIFY, "audit", "encode"], "it stopped there"


async def test_a_store_that_fails_is_an_error_of_the_check_and_of_the_question() -> None:
    traced = Traced()
    traced.used_list.fault = UsedListFault.TIMEOUT
    spans = named(await traced.check(traced.desk.facts(("x-ott", traced.desk.token()))))
    assert spans["Check wallet-debit"].status.status_code is StatusCode.ERROR
    assert spans["spend redis"].status.status_code is StatusCode.ERROR
    assert (spans["spend redis"].attributes or {})["error.type"] == "timeout"
    assert spans["spend"].status.status_code is StatusCode.UNSET


async def test_a_list_in_memory_is_nobody_to_ask() -> None:
    traced = Traced(store=None)
    spans = await traced.check(traced.desk.facts(("x-ott", traced.desk.token())))
    assert [span.name for span in spans][1:] == ALLOWED


async def test_what_is_not_chosen_is_not_told() -> None:
    """A client alone has nothing traced; where its word counts it has."""
    traced = Traced(ratio=0)
    assert await traced.check(traced.desk.facts(("traceparent", SAMPLED))) == []
    believing = Traced(ratio=0, parent="request")
    assert await believing.check(believing.desk.facts(("traceparent", SAMPLED))) != []


async def test_two_checks_at_once_do_not_share_what_they_asked() -> None:
    traced = Traced()
    await asyncio.gather(
        *(traced.check(traced.desk.facts(("x-ott", traced.desk.token()))) for _ in range(3)),
    )
    assert [len(timed.asked) for timed in traced.told] == [1, 1, 1]


async def test_a_question_to_an_issuer_belongs_to_the_check_that_began_it() -> None:
    traced = Traced()
    clock = traced.desk.clock

    async def asking() -> None:
        traced.listener.arrived()

        async def ask() -> None:
            clock.advance(30)
            traced.listener.introspected("https://login.bank.example", 0.03)

        await asyncio.create_task(ask())
        await traced.desk.ask(traced.desk.facts())
        traced.listener.answered()

    await asyncio.create_task(asking())
    [timed] = traced.told
    spans = named(check_spans(traced.maker, timed))
    asked = spans["introspect https://login.bank.example"]
    assert (asked.kind, milliseconds(asked)) == (SpanKind.CLIENT, 30)


async def test_a_look_up_has_the_steps_gone_through_twice_and_all_of_it_is_told() -> None:
    """The marks repeat then; each lasts until the next."""
    traced = Traced()
    await traced.check(traced.desk.facts())
    [timed] = traced.told
    assert timed.record is not None
    began = timed.record.began
    marks = [(Step.ROUTE, began), (Step.VERIFY, began), (Step.ROUTE, began + 0.5), (Step.VERIFY, began + 1)]
    timed.record.marks, timed.record.seconds = marks, 1.5
    spans = check_spans(traced.maker, timed)
    assert [(span.name, milliseconds(span)) for span in spans[2:6]] == [
        ("route", 0), ("verify", 500), ("route", 500), ("verify", 500),
    ]  # fmt: skip


async def test_a_name_that_an_issuer_made_endless_is_cut() -> None:
    traced = Traced()
    spans = await traced.check(traced.desk.facts(("x-ott", traced.desk.token(client_id="c" * 300))))
    assert len(str((spans[0].attributes or {})["ott.client_id"])) == 256


async def test_what_breaks_here_takes_no_answers_place() -> None:
    """An exception would reach Envoy as an RPC error, which `failure_mode_allow` turns into an allow."""
    traced = Traced()

    def broken(_: object) -> None:
        raise RuntimeError("hunter2")

    traced.checks = replace(traced.checks, tell=broken)
    assert await traced.check(traced.desk.facts()) == []
    traced.checks = replace(traced.checks, later=broken)
    assert await traced.check(traced.desk.facts()) == []
    assert traced.faults == ["RuntimeError", "RuntimeError"]
