"""Keys that end soon, as a scrape sees them: time alone moves the gauges, and nobody is named."""

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from ott_extauthz.authn.api_keys import ApiKeys, api_keys_of
from ott_extauthz.observe.api_keys import show_api_keys
from ott_extauthz.observe.in_force import Report, report_of
from ott_extauthz.reload.looks import look_at
from ott_extauthz.reload.source import InForce, Kind, Source
from tests.fakes.api_keys import DAY_MS, kept, made
from tests.fakes.issuer import NOW_MS


class Silent:
    def reloaded(self, *_: object) -> None: ...


def shown(reports: list[Report], now_ms: int) -> dict[str, float]:
    registry = CollectorRegistry()
    show_api_keys(registry, lambda: reports, lambda: now_ms)
    lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def counts(found: dict[str, float]) -> list[float]:
    return [found["ott_api_keys"], *(found[f'ott_api_keys_ending{{within="{span}"}}'] for span in ("1d", "7d", "30d"))]


def report(*days: int) -> Report:
    keys = api_keys_of(kept(made(each), expires_at_ms=NOW_MS + each * DAY_MS) for each in days)
    source: Source[ApiKeys] = Source(
        kind=Kind.API_KEYS, name="k", files=list, load=dict, now_ms=lambda: NOW_MS, listener=Silent(),
        in_force=InForce(keys, look_at([Path("/nowhere")]), NOW_MS),
    )  # fmt: skip
    return report_of([source])


def test_keys_that_end_soon_are_counted_and_not_named() -> None:
    found = shown([report(1, 7, 8, 30, 90)], NOW_MS)
    assert counts(found) == [5, 1, 2, 4]
    assert len(found) == 4
    assert not any("rgs" in name or made(1).id in name for name in found)


def test_time_alone_moves_them_and_an_ended_key_is_in_none() -> None:
    reports = [report(1, 7, 8, 30, 90)]
    assert counts(shown(reports, NOW_MS + 7 * DAY_MS)) == [3, 1, 1, 2]
    assert counts(shown(reports, NOW_MS + 90 * DAY_MS)) == [0, 0, 0, 0]


def test_several_workers_are_one_server() -> None:
    assert counts(shown([report(1, 90), report(1, 90), Report()], NOW_MS)) == [2, 1, 1, 1]
    assert counts(shown([], NOW_MS)) == [0, 0, 0, 0]
