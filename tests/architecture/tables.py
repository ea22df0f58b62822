"""The manual's tables, made from the code they describe; `python -m tests.architecture.tables` writes them anew."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from ott_extauthz.envoy_lint.catalogue import ENVOY_RULES
from ott_extauthz.model.reason import REASONS
from ott_extauthz.observe.api_keys import show_api_keys
from ott_extauthz.observe.audit import MEANINGS
from ott_extauthz.observe.certificate_ends import CertificateEnds
from ott_extauthz.observe.in_force import show_policies
from ott_extauthz.observe.introspections import IntrospectionMetrics
from ott_extauthz.observe.issuer_audit import ISSUER_MEANINGS
from ott_extauthz.observe.issuer_metrics import IssuerMetrics
from ott_extauthz.observe.metrics import Metrics
from ott_extauthz.observe.span_counts import SpanCounts
from ott_extauthz.observe.step_times import StepTimes
from ott_extauthz.observe.workers import WorkersServing
from tests.architecture.documents import LINT_ENVOY, OPERATIONS


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def reasons() -> str:
    rows = [(f"`{reason}`", f"`{found.code}`", str(found.status), found.text) for reason, found in REASONS.items()]
    return _table(("reason", "code", "status", "meaning"), rows)


def registries() -> tuple[CollectorRegistry, CollectorRegistry]:
    """Return everything that a Check server shows, and everything that an issuer does."""
    check, issuer = Metrics(transport="native").registry, IssuerMetrics(lambda: 0).registry
    StepTimes(check)
    show_policies(check, lambda: ())
    show_api_keys(check, lambda: (), lambda: 0)
    IntrospectionMetrics(check, on_fault=lambda _: None)
    SpanCounts(check)
    check.register(CertificateEnds({}))
    check.register(WorkersServing(list))
    show_policies(issuer, lambda: ())
    issuer.register(CertificateEnds({}))
    return check, issuer


def metrics() -> str:
    rows = []
    for source in registries():
        for collector in source._collector_to_names:
            for family in collector.collect():
                name = f"{family.name}_total" if family.type == "counter" else family.name
                labels = ", ".join(getattr(collector, "_labelnames", getattr(family, "_labelnames", ())))
                rows.append((f"`{name}`", labels or "none", family.type, family.documentation))
    return _table(("metric", "labels", "type", "meaning"), list(dict.fromkeys(rows)))  # both servers have some of them


def audit() -> str:
    return _table(("field", "meaning"), [(f"`{name}`", meaning) for name, meaning in MEANINGS.items()])


def issuer_audit() -> str:
    return _table(("field", "meaning"), [(f"`{name}`", meaning) for name, meaning in ISSUER_MEANINGS.items()])


def lint_rules() -> str:
    rows = [(f"`{rule.name}`", rule.severity.value, rule.title, rule.why, rule.mend) for rule in ENVOY_RULES]
    return _table(("rule", "severity", "what is wrong", "why it matters", "mend"), rows)


TABLES: Final[dict[str, Callable[[], str]]] = {
    "reasons": reasons,
    "metrics": metrics,
    "audit": audit,
    "issuer audit": issuer_audit,
}
PAGES: Final[Mapping[Path, Mapping[str, Callable[[], str]]]] = {
    OPERATIONS: TABLES,
    LINT_ENVOY: {"lint rules": lint_rules},
}
"""The pages with such tables, each with its own."""


def with_tables(text: str, tables: Mapping[str, Callable[[], str]] = TABLES) -> str:
    """Return the page with every table as the code says it."""
    for name, make in tables.items():
        pattern = rf"(<!-- table: {name} -->\n).*?(<!-- end -->)"
        found = re.search(pattern, text, flags=re.DOTALL)
        assert found is not None, name
        text = f"{text[: found.start()]}{found[1]}{make()}\n{found[2]}{text[found.end() :]}"
    return text


if __name__ == "__main__":
    for page, page_tables in PAGES.items():
        page.write_text(with_tables(page.read_text(), page_tables))
