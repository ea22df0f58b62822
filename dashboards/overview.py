"""Does the service do its work?  Rate, availability, latency and what it is close to running out of."""

from typing import Final

from dashboards.board import OF_SERVICE, Board, Row
from dashboards.panel import GREEN, NEUTRAL, RED, YELLOW, Panel, Query
from dashboards.promql import EVERY, gauge, grown, of_routes, quantile, rate, share

CHECKS: Final = "ott_checks_total"
SECONDS: Final = "ott_check_seconds"
OURS: Final = 'code="UNAVAILABLE"'
"""Refusals that are our fault, or our store's: they count against availability, a caller's do not."""

OUTCOMES: Final = {"allow": GREEN, "deny": YELLOW}
_ALL: Final = rate(CHECKS, where=of_routes())
_BUDGET: Final = "(1 - $slo / 100)"


def _unavailable(over: str) -> str:
    """Return the share of Checks that were refused for a fault of ours, among those and the allowed: as the alerts do.

    Callers that left are no fault of ours, and what callers did wrong is left out: a flood of it would hide the rest.
    """
    allowed = rate(CHECKS, where=of_routes('code="OK"'), over=over)
    refused = rate(CHECKS, where=of_routes(OURS), over=over)
    left = rate("ott_denials_total", where=of_routes('reason="check_cancelled"'), over=over)
    lost = f"(({refused} or vector(0)) - ({left} or vector(0)))"
    return share(lost, f"(({allowed} or vector(0)) + {lost})")


def _slower_than(bound: str) -> str:
    """Return the share of Checks that took longer than a bucket's bound, among those and the allowed: as the alerts."""
    slow = f"({rate(f'{SECONDS}_count', where=of_routes())} - {_within(bound)})"
    quick = _within(bound, 'outcome="allow"')
    return share(slow, f"({slow} + ({quick} or vector(0)))")


def _within(bound: str, *more: str) -> str:
    return rate(f"{SECONDS}_bucket", where=of_routes(",".join((f'le="{bound}"', *more))))


_LEVEL: Final = Row(
    "Service level",
    (
        Panel(
            title="Checks per second",
            description="Checks answered, allowed and refused together.",
            queries=(Query(_ALL, "Checks"),),
            kind="stat", unit="reqps", width=4, height=5, thresholds=NEUTRAL,
        ),
        Panel(
            title="Availability",
            description="Share of Checks that were let through, among those and the lost ones: refused with code "
            "UNAVAILABLE (store, deadline, audit, a fault of ours), the caller still there. What a caller did wrong is "
            "in neither. What never reached us is in Envoy's ext_authz.error.",
            queries=(Query(f"1 - {_unavailable('$__range')}", "availability", instant=True),),
            kind="stat", unit="percentunit", width=4, height=5, decimals=3, high=1,
            thresholds=((None, RED), (0.99, YELLOW), (0.999, GREEN)),
        ),
        Panel(
            title="Error budget left",
            description="Of what the goal at the top allows to fail in the chosen time range; below 0 it is overspent.",
            queries=(Query(f"1 - {_unavailable('$__range')} / {_BUDGET}", "left", instant=True),),
            kind="stat", unit="percentunit", width=4, height=5, decimals=1, low=None, high=1,
            thresholds=((None, RED), (0, YELLOW), (0.5, GREEN)),
        ),
        Panel(
            title="p50, allowed",
            description="Half of the allowed Checks took no longer, from request to decision.",
            queries=(Query(quantile(0.5, SECONDS, where=of_routes('outcome="allow"')), "p50"),),
            kind="stat", unit="s", width=4, height=5, thresholds=((None, GREEN), (0.01, YELLOW), (0.05, RED)),
        ),
        Panel(
            title="p99, allowed",
            description="99 of 100 allowed Checks took no longer. Envoy waits 250 ms as shipped.",
            queries=(Query(quantile(0.99, SECONDS, where=of_routes('outcome="allow"')), "p99"),),
            kind="stat", unit="s", width=4, height=5, thresholds=((None, GREEN), (0.05, YELLOW), (0.2, RED)),
        ),
        Panel(
            title="Refused",
            description="Share of Checks that were refused, for whatever reason.",
            queries=(Query(share(rate(CHECKS, where=of_routes('outcome="deny"')), _ALL), "refused"),),
            kind="stat", unit="percentunit", width=4, height=5, high=1, thresholds=NEUTRAL,
        ),
        Panel(
            title="Burn rate",
            description="How many times faster than allowed the error budget is spent, over 1 h and 6 h. 14.4 over an "
            "hour uses up 2 % of a 30-day budget.",
            queries=tuple(Query(f"{_unavailable(over)} / {_BUDGET}", over) for over in ("1h", "6h")),
            unit="none", width=12, thresholds=((None, GREEN), (6, YELLOW), (14.4, RED)),
        ),
        Panel(
            title="Refusals for a fault of ours",
            description="Checks refused with code UNAVAILABLE, by exact reason.",
            queries=(
                Query(
                    rate("ott_denials_total", "reason", where=of_routes(
                        'reason=~"store_clock|store_not_primary|store_unsafe|store_unavailable|deadline_too_near'
                        "|check_cancelled|audit_unavailable|internal_error|key_set_unavailable|introspection_unavailable"
                        '|token_source_unavailable|token_source_refused|signing_key_unavailable"'
                    )),
                    "{{reason}}",
                ),
            ),
            unit="reqps", width=12, stacked=True,
        ),
    ),
)  # fmt: skip

_TRAFFIC: Final = Row(
    "Traffic",
    (
        Panel(
            title="Checks by outcome",
            description="Allowed and refused.",
            queries=(Query(rate(CHECKS, "outcome", where=of_routes()), "{{outcome}}"),),
            unit="reqps", stacked=True, colours=OUTCOMES,
        ),
        Panel(
            title="Checks by route",
            description='The policy\'s routes; "none" is what matched no route.',
            queries=(Query(rate(CHECKS, "route", where=of_routes()), "{{route}}"),),
            unit="reqps", stacked=True,
        ),
        Panel(
            title="Refusals by code",
            description="The family of the reason, as clients are told it.",
            queries=(Query(rate(CHECKS, "code", where=of_routes('outcome="deny"')), "{{code}}"),),
            unit="reqps", stacked=True,
        ),
    ),
)  # fmt: skip

_LATENCY: Final = Row(
    "Latency",
    (
        Panel(
            title="p50 and p99 by outcome",
            description="From request to decision, without the network. With exemplars: a point leads to its trace.",
            queries=tuple(
                Query(
                    quantile(each, SECONDS, "outcome", where=of_routes()),
                    f"p{each * 100:.0f} {{{{outcome}}}}", exemplar=each > 0.9,  # noqa: PLR2004 - one of the two
                )
                for each in (0.5, 0.99)
            ),
            unit="s", thresholds=((None, GREEN), (0.25, RED)),
        ),
        Panel(
            title="p99 by route",
            description="Of allowed Checks: routes with conditions, signatures or several credentials cost more.",
            queries=(Query(quantile(0.99, SECONDS, "route", where=of_routes('outcome="allow"')), "{{route}}"),),
            unit="s", thresholds=((None, GREEN), (0.25, RED)),
        ),
        Panel(
            title="Latency of all Checks",
            description="How many Checks a second took how long; dots are exemplars, which lead to a trace.",
            queries=(
                Query(
                    rate(f"{SECONDS}_bucket", "le", where=of_routes()), "{{le}}", exemplar=True, heatmap=True
                ),
            ),
            kind="heatmap", unit="s",
        ),
    ),
)  # fmt: skip

_STEPS: Final = Row(
    "Where a Check's time goes",
    (
        Panel(
            title="p99 by step",
            description="Only with metrics.steps in ott.yaml. decode, audit, encode lie around the Check's own steps.",
            queries=(Query(quantile(0.99, "ott_check_step_seconds", "step"), "{{step}}"),),
            unit="s", width=12, no_value="metrics.steps is off",
        ),
        Panel(
            title="Time by step",
            description="Seconds of all Checks together in each step, a second: what a faster step would save.",
            queries=(Query(rate("ott_check_step_seconds_sum", "step"), "{{step}}"),),
            unit="s", width=12, stacked=True, no_value="metrics.steps is off",
        ),
    ),
)  # fmt: skip

_SATURATION: Final = Row(
    "Saturation",
    (
        Panel(
            title="Servers scraped",
            description="Targets of the job that answer Prometheus, and those that do not.",
            queries=(
                Query('sum (up{namespace=~"$namespace",job=~"$job"})', "up"),
                Query('count (up{namespace=~"$namespace",job=~"$job"} == 0) or vector(0)', "down"),
            ),
            unit="none", decimals=0, colours={"up": GREEN, "down": RED},
        ),
        Panel(
            title="Checks under way",
            description="On average, by Little's law: rate times mean time. Envoy sends 4096 at most.",
            queries=(Query(rate(f"{SECONDS}_sum"), "under way"),),
            unit="none",
        ),
        Panel(
            title="Slow Checks",
            description="Share that took longer than the budget of 50 ms, and than the 250 ms that Envoy waits as "
            "shipped; quick refusals left out.",
            queries=(Query(_slower_than("0.05"), "over 50 ms"), Query(_slower_than("0.25"), "over 250 ms")),
            unit="percentunit", thresholds=((None, GREEN), (0.01, RED)),
        ),
        Panel(
            title="Deadline left at the start",
            description="What Envoy's deadline left when the Check began, for the worst 1 and 5 of 100; near 0 the "
            "time is lost before us: in Envoy's queue, or in ours.",
            queries=tuple(
                Query(quantile(each, "ott_check_seconds_left"), f"worst {each * 100:.0f} %") for each in (0.01, 0.05)
            ),
            unit="s",
        ),
        Panel(
            title="Workers",
            description="Worker processes of parents, by whether they serve; servers of a single process have none.",
            queries=(Query(gauge("ott_workers", "serving", how="sum"), "serving: {{serving}}"),),
            unit="none", decimals=0, stacked=True, colours={"serving: yes": GREEN, "serving: no": RED}, no_value="none",
        ),
        Panel(
            title="Too late",
            description="Refused since too little of Envoy's deadline was left to spend, or given up by Envoy.",
            queries=(
                Query(
                    rate("ott_denials_total", "reason", where=of_routes('reason=~"deadline_too_near|check_cancelled"')),
                    "{{reason}}",
                ),
            ),
            unit="reqps", stacked=True,
        ),
    ),
)  # fmt: skip

_IN_FORCE: Final = Row(
    "What is in force",
    (
        Panel(
            title="Policy revisions",
            description="Workers that enforce each revision. More than one for longer than a roll-out: one lags.",
            queries=(Query(f"sum by (policy, revision) (ott_policy_info{{{OF_SERVICE}}})", "{{policy}} {{revision}}"),),
            unit="none", width=6, decimals=0, stacked=True,
        ),
        Panel(
            title="Age of the policy",
            description="Since when the policy is in force, on the worker that lags.",
            queries=(
                Query(
                    f"time() - min by (policy) (ott_policy_loaded_timestamp_seconds{{{OF_SERVICE}}})",
                    "{{policy}}",
                ),
            ),
            unit="s", width=6,
        ),
        Panel(
            title="Reloads",
            description="Changed policies and key sets. Refused: what was in force stays, and the log says why.",
            queries=(
                Query(grown("ott_policy_reloads_total", "policy", "result", over=EVERY), "{{policy}} {{result}}"),
                Query(grown("ott_key_set_reloads_total", "issuer", "result", over=EVERY), "{{issuer}} {{result}}"),
            ),
            unit="none", width=6,
        ),
        Panel(
            title="Age of fetched key sets",
            description="Since a key set that is fetched was last confirmed; too old ones stop being believed.",
            queries=(
                Query(
                    f"time() - min by (issuer) (ott_key_set_confirmed_timestamp_seconds{{{OF_SERVICE}}} > 0)",
                    "{{issuer}}",
                ),
            ),
            unit="s", width=6,
        ),
        Panel(
            title="Refused changes",
            description="Files and fetched key sets whose last change was refused: what was in force before stays.",
            queries=(Query(gauge("ott_refused_changes", "what", how="max"), "{{what}}"),),
            unit="none", width=12, decimals=0, thresholds=((None, GREEN), (1, RED)),
        ),
        Panel(
            title="TLS certificates end in",
            description="Of the listeners; read from their files, as new connections get them.",
            queries=(
                Query(
                    f"{gauge('ott_tls_certificate_end_timestamp_seconds', 'listener', how='min')} - time()",
                    "{{listener}}",
                ),
            ),
            unit="s", width=12, low=None, thresholds=((None, RED), (604_800, GREEN)), no_value="no TLS",
        ),
        Panel(
            title="Audit",
            description="Decisions written down, and those that could not be: with a required audit they are refused.",
            queries=(
                Query(rate("ott_audit_records_total"), "written"),
                Query(rate("ott_audit_failures_total"), "failed"),
            ),
            unit="reqps", colours={"written": GREEN, "failed": RED},
        ),
        Panel(
            title="Faults of ours",
            description="By type of exception; the log has the decision. Any is worth a report.",
            queries=(Query(rate("ott_internal_errors_total", "type"), "{{type}}"),),
            unit="reqps", stacked=True, no_value="none",
        ),
        Panel(
            title="Versions",
            description="What runs where.",
            queries=(
                Query(f"count by (version, python, transport) (ott_build_info{{{OF_SERVICE}}})", instant=True),
            ),
            kind="table", unit="none",
        ),
    ),
)  # fmt: skip

BOARD: Final = Board(
    uid="ott-extauthz-overview",
    title="ott-extauthz / Overview",
    description="Check servers: rate, availability and its error budget, latency, saturation, what is in force.",
    marker="ott_build_info",
    has_routes=True,
    has_slo=True,
    rows=(_LEVEL, _TRAFFIC, _LATENCY, _STEPS, _SATURATION, _IN_FORCE),
)
