"""Fetched key sets show when they were last confirmed, and a server that never had one is not ready."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.observe.in_force import KeySetReport, Report, report_of, show_policies
from ott_extauthz.reload.looks import Look
from ott_extauthz.reload.source import InForce, Kind

ISSUER = TrustedIssuer("https://a", frozenset({"EdDSA"}), {})


@dataclass
class KeySet:
    """A key set from elsewhere."""

    confirmed_ms: int | None
    is_believed: bool
    value: TrustedIssuer | None = ISSUER
    kind: Kind = Kind.KEY_SET
    name: str = "https://a"
    in_force: InForce[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.in_force = InForce(self.value, Look((), b"\1" * 32, is_ended=True), 1_000)


@pytest.mark.parametrize(
    ("key_set", "is_ready", "said"),
    [
        (KeySet(None, is_believed=False, value=None), False, "not fetched yet, so that every token of it is refused"),
        (KeySet(2_000, is_believed=True), True, "last confirmed at 1970-01-01T00:00:02.000+00:00"),
        (KeySet(2_000, is_believed=False), True, "too long ago, so that every token of it is refused"),
    ],
)
def test_what_is_fetched_says_how_old_it_is(key_set: KeySet, said: str, *, is_ready: bool) -> None:
    report = report_of([key_set])
    assert report.is_ready == is_ready
    assert any(line.startswith("key set of https://a: ") and line.endswith(said) for line in report.lines)
    assert any("in force since" in line for line in report.lines) == is_ready
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report, (
        "a worker's report, as its parent reads it"
    )


def test_of_several_workers_the_one_that_lags_shows() -> None:
    registry = CollectorRegistry()
    told: list[list[tuple[str, int | None]]] = [
        [("https://a", 5_000), ("https://b", None)],
        [("https://a", 4_000), ("https://b", 9_000)],
    ]
    reports = [Report(key_sets=tuple(KeySetReport(issuer=name, confirmed_ms=at) for name, at in one)) for one in told]
    show_policies(registry, lambda: iter(reports))
    values = [
        registry.get_sample_value("ott_key_set_confirmed_timestamp_seconds", {"issuer": name})
        for name in ("https://a", "https://b")
    ]
    assert values == [4, 0]
