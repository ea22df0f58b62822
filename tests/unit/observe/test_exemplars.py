"""Exemplars: of sampled calls only, in the bucket that they fell in, and never more than there are buckets."""

import math
import re
from dataclasses import replace

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ott_extauthz.model.facts import Facts
from ott_extauthz.observe.exemplars import MOST_TOLD, Exemplar, Exemplars
from ott_extauthz.observe.exposition import exposition
from ott_extauthz.observe.metrics import SECONDS, Metrics
from ott_extauthz.ports import CheckRecord
from tests.fakes.desk import Desk

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OPENMETRICS = "text/plain;q=0.5, application/openmetrics-text;version=1.0.0"


async def record_of(traceparent: str | None, seconds: float = 0.0007) -> CheckRecord:
    desk = Desk()
    await desk.ask(desk.facts(*([] if traceparent is None else [("traceparent", traceparent)])))
    (record,) = desk.observer.records
    return replace(record, seconds=seconds)


def sampled(trace: str = TRACE) -> str:
    return f"00-{trace}-00f067aa0ba902b7-01"


def exemplars_in(text: str) -> dict[str, tuple[dict[str, str], float]]:
    return {
        sample.labels["le"]: (sample.exemplar.labels, sample.exemplar.value)
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar
    }


async def test_a_sampled_call_is_the_example_of_its_bucket() -> None:
    metrics = Metrics(transport="native")
    metrics.decided(await record_of(sampled()))
    body, kind = exposition(metrics.registry, OPENMETRICS, metrics.exemplars.latest())
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert exemplars_in(body.decode()) == {"0.001": ({"trace_id": TRACE}, 0.0007)}


async def test_envoys_word_on_the_trace_goes_before_what_a_client_writes() -> None:
    record, own = await record_of(sampled()), "a" * 32
    assert isinstance(record.facts, Facts)
    for envoy, shown in ((sampled(own), [own]), (sampled(own)[:-1] + "0", [])):
        exemplars = Exemplars(SECONDS)
        exemplars.decided(replace(record, facts=replace(record.facts, envoy_traceparent=envoy)), "r", "deny")
        assert [each.trace_id for each in exemplars.latest()] == shown


async def test_whoever_asks_for_plain_text_gets_plain_text() -> None:
    metrics = Metrics(transport="native")
    metrics.decided(await record_of(sampled()))
    for accept in ("", "*/*", "text/plain;version=0.0.4"):
        body, kind = exposition(metrics.registry, accept, metrics.exemplars.latest())
        assert kind.startswith("text/plain; version=0.0.4")
        assert TRACE not in body.decode()


async def test_what_is_not_sampled_or_not_the_grammar_is_no_example() -> None:
    exemplars = Exemplars(SECONDS)
    for value in (None, sampled()[:-1] + "0", sampled('"} 1\n' + "f" * 27), sampled("0" * 32), "x" * 55):
        exemplars.decided(await record_of(value), "r", "deny")
    assert exemplars.latest() == []
    assert exemplars.told() is None


async def test_the_number_of_examples_is_bounded_by_the_buckets() -> None:
    exemplars, record = Exemplars(SECONDS), await record_of(None)
    facts = record.facts
    assert isinstance(facts, Facts)
    for number in range(1, 2_000):
        traced = replace(facts, headers={"traceparent": (sampled(f"{number:032x}"),)})
        slow = replace(record, facts=traced, seconds=number / 1_000, at_ms=number)
        exemplars.decided(slow, "r", "deny")
    latest = {one.bound: one for one in exemplars.latest()}
    assert len(latest) <= len(SECONDS) + 1
    assert latest["+Inf"].seconds == 1.999
    assert math.isclose(latest["1.0"].seconds, 1.0), "a bound is inside its bucket"


def test_a_parent_is_told_what_is_new_and_of_that_the_newest() -> None:
    exemplars = Exemplars(SECONDS)
    assert exemplars.told() is None
    many = {
        (f"r{at}", "allow", "0.1"): Exemplar(f"r{at}", "allow", "0.1", TRACE, 0.1, at) for at in range(2 * MOST_TOLD)
    }
    exemplars._latest, exemplars._untold = many, True
    told = exemplars.told()
    assert told is not None
    assert [one.at for one in told] == list(range(2 * MOST_TOLD - 1, MOST_TOLD - 1, -1))
    assert exemplars.told() is None


async def test_of_several_workers_examples_the_newest_shows() -> None:
    metrics = Metrics(transport="native")
    metrics.decided(await record_of(None))
    (labels,) = re.findall(r"ott_check_seconds_count\{(.*)\}", exposition(metrics.registry)[0].decode())
    assert labels == 'outcome="deny",route="wallet-debit"'
    old, new = (Exemplar("wallet-debit", "deny", "0.001", f"{at:032x}", 0.0007, at) for at in (1, 2))
    body, _ = exposition(metrics.registry, OPENMETRICS, [new, old])
    assert exemplars_in(body.decode())["0.001"][0] == {"trace_id": new.trace_id}
