"""One request, followed: its decision id and its trace in Envoy's access log, our log, our audit and our spans."""

import json
from typing import Any

import pytest

from tests.collector import attributes
from tests.e2e.conftest import rigs
from tests.e2e.rig import Answer, Rig
from tests.e2e.servers import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.parametrize("rig", rigs("redis"), indirect=True)]

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACED = ("traceparent", f"00-{TRACE}-{PARENT}-01")


def span_of(rig: Rig, decision_id: str) -> Any:
    """Our span of one decision, with its children."""
    found: list[Any] = []

    def is_there() -> bool:
        found[:] = [span for span in rig.collector.named("Check") if attributes(span)["ott.decision_id"] == decision_id]
        return bool(found) and "encode" in rig.collector.children(found[0])

    wait_until(is_there, lambda: f"no span of {decision_id}; {len(rig.collector.spans)} spans came", 20)
    return found[0]


def followed(rig: Rig, answer: Answer, server: str = "ott") -> tuple[dict[str, Any], dict[str, Any], Any]:
    """The access log line, the audit line and the span of a call, by nothing but the id that joins them."""
    [access] = rig.access_log(answer.case)
    [line] = rig.audit(access["decision_id"], server)
    return access, line, span_of(rig, access["decision_id"])


def test_one_request_is_followed_from_the_access_log_to_the_span(rig: Rig) -> None:
    token = rig.good()
    answer = rig.call(listener="traced", token=token)
    access, line, span = followed(rig, answer)
    assert answer.delivery.all("x-ott-decision-id") == [access["decision_id"]]
    assert access["trace_id"] == line["trace_id"] == span.trace_id.hex()
    assert (access["route"], access["client_id"], access["status"]) == ("wallet-debit", "rgs", 200)
    assert attributes(span)["ott.outcome"] == "allow"
    steps = rig.collector.children(span)
    assert "spend redis" in rig.collector.children(steps["spend"])
    again = rig.call(listener="traced", token=token)
    access, line, span = followed(rig, again)
    assert line["first_decision_id"] == answer.delivery.all("x-ott-decision-id")[0]
    assert access["reason"] == line["reason"] == attributes(span)["ott.reason"] == "token_replayed"
    told = [
        json.loads(text) for text in (rig.folder / "ott.log").read_text().splitlines() if access["decision_id"] in text
    ]
    assert [(one["event"], one["trace_id"], one["route"], one["client_id"], one["reason"]) for one in told] == [
        ("check refused", access["trace_id"], "wallet-debit", "rgs", "token_replayed"),
        ("token replayed", access["trace_id"], "wallet-debit", "rgs", "token_replayed"),
    ]


def test_our_span_is_a_child_of_envoys_in_the_callers_trace(rig: Rig) -> None:
    answer = rig.call(listener="traced", token=rig.good(), headers=[TRACED])
    access, _, span = followed(rig, answer)
    assert access["trace_id"] == span.trace_id.hex() == TRACE
    assert span.parent_span_id.hex() != PARENT, "between the caller and us stands Envoy"


def test_without_envoys_word_a_caller_names_the_trace_and_has_nothing_traced(rig: Rig) -> None:
    answer = rig.call(token=rig.good(), headers=[TRACED])
    traced = rig.call(listener="traced", token=rig.good())
    span_of(rig, traced.delivery.all("x-ott-decision-id")[0])
    [decision_id] = answer.delivery.all("x-ott-decision-id")
    assert [line["trace_id"] for line in rig.audit(decision_id)] == [TRACE]
    assert decision_id not in [attributes(span)["ott.decision_id"] for span in rig.collector.named("Check")]


def test_each_of_several_workers_sends_its_own(rig: Rig) -> None:
    instances = rig.checks["xfcc"].addresses

    def all_came() -> bool:
        rig.call(listener="traced-xfcc", token=rig.good())
        came = {resource.get("service.instance.id", "") for resource in rig.collector.resources}
        return all(any(one.endswith(address) for one in came) for address in instances)

    wait_until(all_came, lambda: f"{rig.collector.resources[-1:]}", 20)
    assert "ott_spans_exported_total" in rig.checks["xfcc"].metrics()
