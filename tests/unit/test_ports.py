"""What a record says of its request, and what it costs."""

from collections import Counter

import pytest

from ott_extauthz import ports
from ott_extauthz.model.facts import Facts, Malformed
from ott_extauthz.model.traced import Traced, traced
from ott_extauthz.observe.audit import line_from
from ott_extauthz.observe.exemplars import Exemplars
from ott_extauthz.observe.log import DecisionLog, new_logger
from ott_extauthz.observe.metrics import SECONDS
from tests.fakes.desk import Desk

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("header", [f"00-{TRACE}-00f067aa0ba902b7-01", None])
async def test_a_trace_is_read_once_however_many_want_to_know_and_never_unasked(
    header: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read: Counter[str] = Counter()

    def counted(facts: Facts | Malformed) -> Traced | None:
        read["trace"] += 1
        return traced(facts)

    monkeypatch.setattr(ports, "traced", counted)
    desk = Desk()
    await desk.ask(desk.facts(*([] if header is None else [("traceparent", header)])))
    (record,) = desk.observer.records
    assert read["trace"] == 0
    Exemplars(SECONDS).decided(record, "r", "deny")
    assert line_from(record)["trace_id"] == (header and TRACE)
    DecisionLog(new_logger("info")).decided(record)
    assert (record.trace is None) == (header is None)
    assert read["trace"] == 1
    assert (TRACE in capsys.readouterr().err) == (header is not None)
