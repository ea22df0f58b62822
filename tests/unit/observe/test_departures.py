"""What a reload took away is shown a while longer and then no more; reloads make no endless exposition."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from prometheus_client import CollectorRegistry, Counter

from ott_extauthz.model.decision import Deny
from ott_extauthz.observe.departures import KEPT_SECONDS, MOST, Departures, known_to_all
from ott_extauthz.observe.exposition import exposition
from ott_extauthz.observe.issuer_metrics import IssuerMetrics
from ott_extauthz.observe.metrics import NO_CLIENT, NO_ROUTE, OTHER_CLIENT, Metrics
from ott_extauthz.ports import CheckRecord
from tests.fakes.clock import FakeClock
from tests.fakes.desk import Desk

if TYPE_CHECKING:
    from ott_extauthz.policy.document import Policy

OPENMETRICS = "application/openmetrics-text"
SAMPLED = ("traceparent", f"00-{'4b' * 16}-00f067aa0ba902b7-01")


class Scraped:
    """A server's metrics, what is in force, and a scrape."""

    def __init__(self, record: CheckRecord) -> None:
        self.clock, self._record = FakeClock(), record
        self.routes = {"wallet-debit"}
        self.clients = {"rgs"}
        self.metrics = Metrics(transport="native", clients=lambda: frozenset(self.clients))
        self.departures = Departures(self.known, self.clock.monotonic, self.metrics.forget)

    def known(self) -> dict[str, set[str]]:
        return {"route": self.routes | {NO_ROUTE}, "client": self.clients | {NO_CLIENT, OTHER_CLIENT}}

    def count(self, route: str = "wallet-debit", client: str = "rgs") -> None:
        decision = self._record.decision
        assert isinstance(decision, Deny)
        assert decision.token is not None
        token = replace(decision.token, client_id=client)
        record = replace(self._record, decision=replace(decision, route=route, token=token))
        self.metrics.decided(record)
        self.metrics.replayed(record)

    def scrape(self, *, later: float = 0.0) -> str:
        self.clock.advance(round(later * 1000))
        exemplars = self.metrics.exemplars.latest()
        return exposition(self.metrics.registry, OPENMETRICS, exemplars, self.departures)[0].decode()

    def series(self) -> int:
        """How many there are, shown or not."""
        return sum(len(family.samples) for family in self.metrics.registry.collect())


@pytest.fixture
async def scraped() -> Scraped:
    desk = Desk()
    token = desk.token()
    for _ in range(2):
        await desk.ask(desk.facts(("x-ott", token), SAMPLED))
    return Scraped(desk.observer.replays[0])


def test_a_route_that_is_gone_is_scraped_once_more_with_its_last_counts_and_later_no_more(scraped: Scraped) -> None:
    scraped.count("wallet-debit")
    before = scraped.series()
    assert 'ott_replays_total{route="wallet-debit"} 1.0' in scraped.scrape()
    scraped.routes = {"wallet-debit-2"}
    scraped.count("wallet-debit")  # it was under way
    assert 'ott_replays_total{route="wallet-debit"} 2.0' in scraped.scrape(later=3600), "nobody looked for an hour"
    assert 'route="wallet-debit"' in scraped.scrape(later=KEPT_SECONDS - 1)
    text = scraped.scrape(later=1)
    assert 'route="wallet-debit"' not in text
    assert "4b4b" not in text
    assert scraped.series() < before, "and its memory is gone as well"
    assert scraped.metrics.exemplars.latest() == []


def test_a_route_that_comes_back_counts_from_nothing_where_a_scrape_sees_it(scraped: Scraped) -> None:
    """A client library's child that was taken out, and kept in a cache, would count where nobody looks."""
    scraped.count("wallet-debit")
    scraped.routes = set()
    scraped.scrape()
    scraped.scrape(later=KEPT_SECONDS)
    scraped.routes = {"wallet-debit"}
    scraped.count("wallet-debit")
    text = scraped.scrape()
    for name in ("checks_total", "check_seconds_count", "denials_total", "replays_total"):
        (value,) = re.findall(rf'ott_{name}{{[^}}]*route="wallet-debit"[^}}]*}} (\S+)', text)
        assert value == "1.0", name


def test_a_name_that_comes_back_in_time_never_left(scraped: Scraped) -> None:
    for routes, later in (({"other"}, KEPT_SECONDS - 1), ({"wallet-debit"}, 10), ({"other"}, KEPT_SECONDS - 1)):
        scraped.count("wallet-debit")
        scraped.routes = routes
        scraped.scrape()
        assert 'ott_replays_total{route="wallet-debit"}' in scraped.scrape(later=later)
    assert scraped.metrics.registry.get_sample_value("ott_replays_total", {"route": "wallet-debit"}) == 3


def test_a_client_that_is_gone_goes_and_what_stands_for_none_stays(scraped: Scraped) -> None:
    scraped.count(client="rgs")
    scraped.count(client="never heard of")
    scraped.clients = set()
    scraped.scrape()
    text = scraped.scrape(later=KEPT_SECONDS)
    assert 'client="rgs"' not in text
    assert 'ott_client_checks_total{client="other"' in text
    assert 'ott_checks_total{code="TOKEN_REPLAYED",outcome="deny",route="wallet-debit"} 2.0' in text


def test_a_thousand_reloads_with_ever_new_names_make_no_endless_exposition(scraped: Scraped) -> None:
    sizes: list[int] = []
    for number in range(1000):
        scraped.routes, scraped.clients = {f"route-{number}"}, {f"client-{number}"}
        policy = SimpleNamespace(table=SimpleNamespace(routes=[SimpleNamespace(name=f"route-{number}")]))
        scraped.metrics.expect(cast("Policy", policy))
        scraped.count(f"route-{number}", f"client-{number}")
        if number % 250 == 249:
            sizes.append(scraped.scrape(later=1).count("\n"))
    assert sizes == [sizes[0]] * 4, "it is as long after a thousand as after 250"
    assert sizes[-1] < 30 * MOST
    scraped.scrape()
    settled = scraped.scrape(later=KEPT_SECONDS)
    assert "route-998" not in settled
    assert scraped.series() < 200, "nor an endless memory"


def test_of_too_many_names_the_latest_are_still_shown(scraped: Scraped) -> None:
    for prefix in ("a", "b"):
        for number in range(MOST * 3 // 4):
            scraped.count(f"{prefix}-{number}")
        scraped.scrape(later=10)
    text = scraped.scrape()
    shown = [text.count(f'ott_replays_total{{route="{prefix}-') for prefix in ("a", "b")]
    assert shown == [MOST // 4, MOST * 3 // 4]


def test_while_nobody_can_say_what_is_in_force_nothing_goes(scraped: Scraped) -> None:
    registry, clock = CollectorRegistry(), FakeClock()
    Counter("ott_replays", "", ["route"], registry=registry).labels("r").inc()
    departures = Departures(lambda: None, clock.monotonic)
    for _ in range(3):
        assert b'route="r"' in exposition(registry, departures=departures)[0]
        clock.advance(round(KEPT_SECONDS * 1000))


def test_a_name_stays_as_long_as_one_worker_has_it_and_one_that_is_silent_keeps_all() -> None:
    """A series that one worker alone took out of the sum would make it fall: `rate` takes that for a reset."""
    old, new = {"route": {"a"}, "client": {"x"}}, {"route": {"b"}}
    assert known_to_all([old, new]) == {"route": {"a", "b"}}, "a label that one does not judge is not judged"
    assert known_to_all([old, None]) is None
    assert known_to_all([]) is None


def test_an_issuers_client_and_audience_go_as_well() -> None:
    metrics, clock = IssuerMetrics(lambda: 0), FakeClock()
    known: dict[str, Any] = {"client": {"rgs", "unknown"}, "audience": {"wallet.api"}}
    departures = Departures(lambda: known, clock.monotonic, metrics.forget)
    metrics.issued("rgs", "wallet.api")
    metrics.issued("rgs", "old.api")
    metrics.issued("old", "wallet.api")
    metrics.authentication_failed(None, is_limited=False)
    exposition(metrics.registry, departures=departures)
    clock.advance(round(KEPT_SECONDS * 1000))
    text = exposition(metrics.registry, departures=departures)[0].decode()
    assert 'client="rgs"' in text
    assert 'client="unknown"' in text
    assert "old" not in text.replace("old ones", "").replace("old one", "")
