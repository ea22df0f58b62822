"""What is in force?  For /readyz?verbose and the metrics, of this process or of all workers."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, Protocol, runtime_checkable

import msgspec
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from ott_extauthz.model.counting import counted
from ott_extauthz.policy.document import Policy
from ott_extauthz.reload.source import InForce, Kind, Shown

MOST_LINES: Final = 200
MOST_PROBLEMS: Final = 20
_CHARACTERS: Final = 300


class PolicyReport(msgspec.Struct, frozen=True, kw_only=True):
    """A policy in force, for the metrics."""

    policy: str
    revision: str
    since_ms: int


class KeySetReport(msgspec.Struct, frozen=True, kw_only=True):
    """A key set that is fetched, for the metrics; ``confirmed_ms`` None is never yet."""

    issuer: str
    confirmed_ms: int | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one process has in force: ``lines`` for people, ``api_key_ends_ms`` when each API key ends.

    ``refused`` counts, of each kind that there is, those whose last change was refused.  ``known`` are the values that
    labels may have by it; None where nobody has said yet.
    """

    policies: tuple[PolicyReport, ...] = ()
    key_sets: tuple[KeySetReport, ...] = ()
    api_key_ends_ms: tuple[int, ...] = ()
    refused: dict[str, int] = {}
    lines: tuple[str, ...] = ()
    known: dict[str, frozenset[str]] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is something in force of everything; what was there once stays."""
        return all(key_set.confirmed_ms is not None for key_set in self.key_sets)


def report_of(sources: Iterable[Shown]) -> Report:
    """Return what is in force now, bounded: it is one line of a worker's output, too."""
    policies: list[PolicyReport] = []
    key_sets: list[KeySetReport] = []
    lines: list[str] = []
    ends: list[int] = []
    refused: dict[str, int] = {}
    for source in sources:
        now, kind = source.in_force, source.kind.replace(" ", "_").lower()
        refused[kind] = refused.get(kind, 0) + (now.failure is not None)
        if source.kind is Kind.API_KEYS:
            ends += [key.expires_at_ms for key in now.value.values()]
        if isinstance(now.value, Policy):
            policies.append(PolicyReport(policy=label(source.kind), revision=now.value.revision, since_ms=now.since_ms))
        if isinstance(source, Remote):
            key_sets.append(KeySetReport(issuer=source.name, confirmed_ms=source.confirmed_ms))
            lines.append(_confirmation(f"{source.kind} of {source.name}", source))
        name = source.kind if isinstance(now.value, Policy) else f"{source.kind} of {source.name}"
        lines += _lines(name, now, "" if source.kind.is_secret else f", sha256 {now.fingerprint}")
    return Report(
        policies=tuple(policies), key_sets=tuple(key_sets), api_key_ends_ms=tuple(ends), refused=refused,
        lines=tuple(lines[:MOST_LINES]),
    )  # fmt: skip


def label(kind: Kind) -> str:
    """Return the metrics' name of a policy."""
    return "shadow" if kind is Kind.SHADOW_POLICY else "enforced"


@runtime_checkable
class Remote(Shown, Protocol):
    """What comes from elsewhere: when it last did, and whether it still counts."""

    @property
    def confirmed_ms(self) -> int | None:
        """When its source last said that it stands; None is never yet."""
        ...

    @property
    def is_believed(self) -> bool:
        """Whether it still counts."""
        ...


def _confirmation(name: str, source: Remote) -> str:
    if source.confirmed_ms is None:
        return f"{name}: not fetched yet, so that every token of it is refused"
    told = f"{name}: last confirmed at {_instant(source.confirmed_ms)}"
    return told if source.is_believed else f"{told}; too long ago, so that every token of it is refused"


def _lines(name: str, now: InForce[Any], digest: str) -> Iterator[str]:
    if isinstance(now.value, Policy):
        yield f"{name}: revision {now.value.revision}, {counted(len(now.value.table.routes), 'route')}"
    if now.value is not None:
        yield f"{name}: in force since {_instant(now.since_ms)}{digest}"
    if now.failure is not None:
        problems = now.failure.problems
        yield f"{name}: a change was refused at {_instant(now.failure.at_ms)}, {len(problems)} problems"
        yield from (f"{name}:   {str(problem)[:_CHARACTERS]}" for problem in problems[:MOST_PROBLEMS])


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


class PoliciesInForce(Collector):
    """Gauges made at each scrape from what is in force, so that an old revision leaves no series behind."""

    def __init__(self, reports: Callable[[], Iterable[Report]]) -> None:
        self.reports = reports

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges: how many workers have a revision in force and since when, how old fetched key sets are."""
        reports = tuple(self.reports())
        workers: dict[tuple[str, str], int] = {}
        since: dict[str, int] = {}
        for report in reports:
            for one in report.policies:
                workers[one.policy, one.revision] = workers.get((one.policy, one.revision), 0) + 1
                since[one.policy] = min(one.since_ms, since.get(one.policy, one.since_ms))
        info = GaugeMetricFamily(
            "ott_policy_info", "Workers that have this revision in force.", labels=["policy", "revision"]
        )
        for key, count in workers.items():
            info.add_metric(key, count)
        loaded = GaugeMetricFamily(
            "ott_policy_loaded_timestamp_seconds",
            "Since when; of several workers, the one that lags.",
            labels=["policy"],
        )
        for policy, since_ms in since.items():
            loaded.add_metric([policy], since_ms / 1000)
        yield info
        yield loaded
        yield _confirmed(reports)
        yield _refused(reports)


def _confirmed(reports: Iterable[Report]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(
        "ott_key_set_confirmed_timestamp_seconds",
        "When a key set that is fetched was last confirmed, 0 before; of several workers, the one that lags.",
        labels=["issuer"],
    )
    oldest: dict[str, int] = {}
    for key_set in (key_set for report in reports for key_set in report.key_sets):
        confirmed_ms = key_set.confirmed_ms or 0
        oldest[key_set.issuer] = min(confirmed_ms, oldest.get(key_set.issuer, confirmed_ms))
    for issuer, confirmed_ms in oldest.items():
        gauge.add_metric([issuer], confirmed_ms / 1000)
    return gauge


def _refused(reports: Iterable[Report]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(
        "ott_refused_changes",
        "Files, and key sets that are fetched, whose last change was refused; of several workers, the most.",
        labels=["what"],
    )
    most: dict[str, int] = {}
    for what, count in (item for report in reports for item in report.refused.items()):
        most[what] = max(count, most.get(what, 0))
    for what, count in most.items():
        gauge.add_metric([what], count)
    return gauge


def show_policies(registry: CollectorRegistry, reports: Callable[[], Iterable[Report]]) -> None:
    """Have a registry show what is in force."""
    registry.register(PoliciesInForce(reports))
