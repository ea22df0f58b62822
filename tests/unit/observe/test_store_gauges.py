"""What looks at the used-list found, as a scrape sees it."""

from prometheus_client import CollectorRegistry

from ott_extauthz.observe.departures import KEPT_SECONDS, Departures
from ott_extauthz.observe.exposition import exposition
from ott_extauthz.observe.store_gauges import StoreGauges
from ott_extauthz.ports import StoreHealth, StoreServer, StoreState
from tests.fakes.clock import FakeClock


class Shown:
    """The gauges, and what they say."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.gauges = StoreGauges(self.registry, max_skew_ms=500)

    def look(self, *servers: StoreServer, ready: bool = True) -> None:
        self.gauges.looked(StoreHealth(ready=ready, detail="", servers=servers))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def states(self, server: str) -> set[str]:
        return {state for state in StoreState if self.value("ott_store_server_state", server=server, state=state)}


def test_a_server_is_in_one_state_at_a_time() -> None:
    shown = Shown()
    shown.look(StoreServer("a:1", StoreState.WHOLE, 1_000, -20))
    assert shown.states("a:1") == {"whole"}
    shown.look(StoreServer("a:1", StoreState.CLOCK, None, 900), ready=False)
    assert shown.states("a:1") == {"clock"}
    assert shown.value("ott_store_ready") == 0
    assert shown.value("ott_store_clock_offset_seconds", server="a:1") == 0.9
    assert shown.value("ott_store_clock_limit_seconds") == 0.5


def test_a_fence_moves_when_the_youngest_does_and_the_first_sight_is_no_move() -> None:
    shown = Shown()
    for since_ms, moves in ((1_000, 0), (1_000, 0), (5_000, 1), (4_000, 1), (6_000, 2)):
        shown.look(StoreServer("a:1", StoreState.WHOLE, since_ms), StoreServer("b:1", StoreState.WHOLE, 500))
        assert shown.value("ott_store_fence_moves_total") == moves
    assert shown.value("ott_store_fence_timestamp_seconds") == 6


def test_sweeps_that_fail_are_counted() -> None:
    shown = Shown()
    assert shown.value("ott_store_sweep_failures_total") == 0
    shown.gauges.sweep_failed()
    assert shown.value("ott_store_sweep_failures_total") == 1


def test_a_server_out_of_reach_moves_no_fence_and_a_replaced_one_does() -> None:
    shown = Shown()
    shown.look(StoreServer("a:1", StoreState.WHOLE, 1_000))
    shown.look(StoreServer("a:1", StoreState.UNREACHABLE), ready=False)
    assert (shown.value("ott_store_fence_moves_total"), shown.value("ott_store_fence_timestamp_seconds")) == (0, 1)
    shown.look(StoreServer("b:1", StoreState.WHOLE, 9_000))
    assert shown.value("ott_store_fence_moves_total") == 1
    assert shown.states("a:1") == set(), "the sentinel names another now"


def test_a_look_without_an_answer_is_no_server_that_is_well() -> None:
    shown = Shown()
    shown.look(StoreServer("a:1", StoreState.WHOLE, 1_000))
    shown.look(ready=False)
    assert shown.states("a:1") == {"unreachable"}
    assert shown.value("ott_store_ready") == 0


def test_a_server_that_left_the_list_alarms_nobody_about_its_clock() -> None:
    shown = Shown()
    shown.look(StoreServer("a:1", StoreState.CLOCK, None, 900))
    shown.look(StoreServer("b:1", StoreState.WHOLE, 1_000, 5))
    assert shown.value("ott_store_clock_offset_seconds", server="a:1") == 0
    assert shown.value("ott_store_clock_offset_seconds", server="b:1") == 0.005


def test_servers_that_come_and_go_with_ever_new_addresses_leave_no_series_behind() -> None:
    """In a cluster each restart of a store is another address."""
    shown, clock = Shown(), FakeClock()
    departures = Departures(lambda: {"server": shown.gauges.servers}, clock.monotonic, shown.gauges.forget)
    for number in range(300):
        shown.look(StoreServer(f"10.0.0.{number}:6379", StoreState.WHOLE, 1_000, 5))
        text = exposition(shown.registry, departures=departures)[0].decode()
        assert f'server="10.0.0.{number}:6379",state="whole"}} 1.0' in text
        clock.advance(round(KEPT_SECONDS * 1000))
    shown.look(ready=False)
    assert shown.gauges.servers == {"10.0.0.299:6379"}, "a look without an answer does not take it from the list"
    assert exposition(shown.registry, departures=departures)[0].decode().count('state="whole"') == 1
    assert len(shown.gauges._offset._metrics) == 1
