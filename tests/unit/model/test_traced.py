"""Envoy's word on a trace goes before the client's."""

from dataclasses import replace

from ott_extauthz.model.facts import Malformed
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.trace_context import TraceContext
from ott_extauthz.model.traced import Traced, traced
from tests.fakes.desk import Desk

CLIENTS = f"00-{'1' * 32}-{'2' * 16}-01"
ENVOYS = f"00-{'3' * 32}-{'4' * 16}-00"


def test_a_header_is_the_clients_word() -> None:
    found = traced(Desk().facts(("traceparent", CLIENTS)))
    assert found == Traced(TraceContext("1" * 32, "2" * 16, is_sampled=True), by_envoy=False)


def test_envoys_own_span_goes_before_the_header() -> None:
    facts = replace(Desk().facts(("traceparent", CLIENTS)), envoy_traceparent=ENVOYS)
    assert traced(facts) == Traced(TraceContext("3" * 32, "4" * 16, is_sampled=False), by_envoy=True)


def test_a_request_that_cannot_be_read_has_envoys_trace() -> None:
    found = traced(Malformed(Reason.REQUEST_MALFORMED, envoy_traceparent=ENVOYS))
    assert found is not None
    assert found.context.trace_id == "3" * 32
    assert traced(Malformed(Reason.REQUEST_MALFORMED)) is None


def test_what_is_no_context_is_nobodys_word() -> None:
    assert traced(replace(Desk().facts(("traceparent", CLIENTS)), envoy_traceparent="x")) == traced(
        Desk().facts(("traceparent", CLIENTS))
    )
    assert traced(Desk().facts()) is None
