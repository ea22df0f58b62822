"""Counters agree with decisions, random traffic adds no label values, and a broken listener changes nothing."""

from ott_extauthz.model.reason import Reason
from ott_extauthz.observe.exposition import exposition
from ott_extauthz.observe.listeners import Listeners
from ott_extauthz.observe.log import DecisionLog, new_logger
from ott_extauthz.observe.metrics import Metrics
from ott_extauthz.ports import CheckRecord, UsedListFault
from tests.fakes.desk import Desk
from tests.fakes.observer import RecordingObserver


async def test_counters_agree_with_what_was_decided() -> None:
    desk, metrics = Desk(), Metrics(transport="native")
    token = desk.token()
    for _ in range(3):
        await desk.ask(desk.facts(("x-ott", token)))
    for record in desk.observer.records:
        metrics.decided(record)
    for record in desk.observer.replays:
        metrics.replayed(record)
    value = metrics.registry.get_sample_value
    labels = {"route": "wallet-debit", "outcome": "allow", "code": "OK"}
    assert value("ott_checks_total", labels) == 1
    assert value("ott_checks_total", labels | {"outcome": "deny", "code": "TOKEN_REPLAYED"}) == 2
    assert value("ott_denials_total", {"route": "wallet-debit", "reason": "token_replayed"}) == 2
    assert value("ott_replays_total", {"route": "wallet-debit"}) == 2
    assert value("ott_check_seconds_count", {"route": "wallet-debit", "outcome": "deny"}) == 2


async def test_random_traffic_adds_no_label_values() -> None:
    desk, metrics = Desk(), Metrics(transport="native")
    for number in range(50):
        await desk.ask(desk.facts(("x-ott", f"a{number}.b.c"), path=f"/p{number}", method="GET", host=f"h{number}.api"))
    for record in desk.observer.records:
        metrics.decided(record)
    text = exposition(metrics.registry)[0].decode()
    assert "h7.api" not in text
    assert "p7" not in text
    assert text.count("ott_checks_total{") == 1


async def test_a_broken_listener_changes_nothing_and_is_counted() -> None:
    class Broken(RecordingObserver):
        def decided(self, record: CheckRecord) -> None:
            raise RuntimeError

    broken: list[str] = []
    good = RecordingObserver()
    listeners = Listeners(Broken(), good, on_broken=broken.append)
    desk = Desk()
    await desk.ask(desk.facts())
    listeners.decided(desk.observer.records[0])
    listeners.faulted("X")
    listeners.spend_took(0.1)
    listeners.store_failed(UsedListFault.LOST)
    listeners.replayed(desk.observer.records[0])
    assert broken == ["RuntimeError"]
    assert (len(good.records), good.faults, good.store_faults, len(good.replays)) == (1, ["X"], [UsedListFault.LOST], 1)


async def test_the_log_says_why_and_holds_no_secret(capsys: "object") -> None:
    desk = Desk()
    token = desk.token()
    for _ in range(2):
        await desk.ask(desk.facts(("x-ott", token)))
    log = DecisionLog(new_logger("info"))
    for record in desk.observer.records:
        log.decided(record)
    for record in desk.observer.replays:
        log.replayed(record)
    log.faulted("ValueError")
    log.store_failed(UsedListFault.TIMEOUT)
    shown = capsys.readouterr().err  # type: ignore[attr-defined]
    assert shown.count("\n") == 4, "allows are not logged"
    assert f'"first_decision_id": "{desk.observer.records[0].decision.decision_id}"' in shown
    assert Reason.TOKEN_REPLAYED in shown
    assert token not in shown
