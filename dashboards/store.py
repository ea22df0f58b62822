"""Does the used-list hold?  Its time, its faults, and the refusals that they cost."""

from typing import Final

from dashboards.board import OF_SERVICE, Board, Row
from dashboards.panel import GREEN, NEUTRAL, RED, YELLOW, Panel, Query
from dashboards.promql import EVERY, gauge, grown, of_service, quantile, rate, share

SPEND: Final = "ott_spend_seconds"
ERRORS: Final = "ott_store_errors_total"
DENIALS: Final = "ott_denials_total"
DOWN: Final = "store_unavailable|store_not_primary|store_unsafe|store_clock"
_CHECKS: Final = rate("ott_checks_total")


def _refused(pattern: str) -> str:
    return rate(DENIALS, "reason", where=of_service(f'reason=~"{pattern}"'))


_SUMMARY: Final = Row(
    "Now",
    (
        Panel(
            title="Spends per second",
            description="Uses written to the used-list, or refused by it.",
            queries=(Query(rate(f"{SPEND}_count"), "spends"),),
            kind="stat", unit="ops", width=6, height=5, thresholds=NEUTRAL,
        ),
        Panel(
            title="p99",
            description="99 of 100 spends took no longer. store.timeout is 80 ms as shipped.",
            queries=(Query(quantile(0.99, SPEND), "p99"),),
            kind="stat", unit="s", width=6, height=5, thresholds=((None, GREEN), (0.02, YELLOW), (0.08, RED)),
        ),
        Panel(
            title="Refused for the store",
            description="Share of all Checks that were refused since the used-list did not answer, or was not trusted.",
            queries=(
                Query(share(rate(DENIALS, where=of_service(f'reason=~"{DOWN}"')), _CHECKS), "refused"),
            ),
            kind="stat", unit="percentunit", width=6, height=5, high=1, thresholds=((None, GREEN), (0.001, RED)),
        ),
        Panel(
            title="Refused by the fence",
            description="Tokens older than the moment since which the used-list is whole, in the chosen time range: it "
            "was restarted, emptied or failed over. Clients mint anew.",
            queries=(
                Query(grown(DENIALS, where=of_service('reason="store_epoch"')), "refused", instant=True),
            ),
            kind="stat", unit="none", width=6, height=5, decimals=0, thresholds=((None, GREEN), (1, YELLOW)),
        ),
    ),
)  # fmt: skip

_SERVERS: Final = Row(
    "Its servers",
    (
        Panel(
            title="Ready",
            description="1 while the used-list can spend, for the Check server that fares worst.",
            queries=(Query(gauge("ott_store_ready", how="min"), "ready"),),
            kind="stat", unit="none", width=4, decimals=0, thresholds=((None, RED), (1, GREEN)),
            mappings={"1": "ready", "0": "not ready"},
        ),
        Panel(
            title="State",
            description="In which state how many workers find each server of the used-list.",
            queries=(
                Query(f"{gauge('ott_store_server_state', 'server', 'state', how='sum')} > 0", "{{server}} {{state}}"),
            ),
            unit="none", width=7, decimals=0,
        ),
        Panel(
            title="Clock offset",
            description="How far each server's clock is from ours; beyond the limit (clock.max_skew) uses are refused.",
            queries=(
                Query(f"max by (server) (abs(ott_store_clock_offset_seconds{{{OF_SERVICE}}}))", "{{server}}"),
                Query(gauge("ott_store_clock_limit_seconds", how="min"), "limit"),
            ),
            unit="s", width=7, colours={"limit": RED},
        ),
        Panel(
            title="Whole since",
            description="For how long all of the used-list has been whole. It falls to 0 when a server forgot, was "
            "replaced or failed over: tokens from before are refused.",
            queries=(
                Query(f"time() - max(ott_store_fence_timestamp_seconds{{{OF_SERVICE}}} > 0)", "whole for"),
            ),
            unit="s", width=6,
        ),
    ),
)  # fmt: skip

_TIME: Final = Row(
    "Time",
    (
        Panel(
            title="p50, p90 and p99",
            description="From the Check's question to the used-list's answer, waiting included.",
            queries=tuple(Query(quantile(each, SPEND), f"p{each * 100:.0f}") for each in (0.5, 0.9, 0.99)),
            unit="s", thresholds=((None, GREEN), (0.08, RED)),
        ),
        Panel(
            title="Time of all spends",
            description="How many spends a second took how long. Two bands: one server, or one replica, is slow.",
            queries=(Query(rate(f"{SPEND}_bucket", "le"), "{{le}}", heatmap=True),),
            kind="heatmap", unit="s",
        ),
        Panel(
            title="Share of a Check's time",
            description="Of the time that all Checks take, so much is the used-list's.",
            queries=(Query(share(rate(f"{SPEND}_sum"), rate("ott_check_seconds_sum")), "used-list"),),
            unit="percentunit", high=1,
        ),
    ),
)  # fmt: skip

_FAULTS: Final = Row(
    "Faults",
    (
        Panel(
            title="Faults by kind",
            description="connect, timeout, lost: the network or the server. reply: an answer that is an error. "
            "circuit_open, overloaded: not even sent.",
            queries=(Query(rate(ERRORS, "kind"), "{{kind}}"),),
            unit="ops", width=12, stacked=True, no_value="none",
        ),
        Panel(
            title="Refusals of the used-list",
            description="store_unavailable: no answer. store_not_primary: a replica. store_unsafe: it may evict keys. "
            "store_clock: its clock is off. store_epoch: the fence.",
            queries=(Query(_refused(f"{DOWN}|store_epoch"), "{{reason}}"),),
            unit="reqps", width=12, stacked=True, no_value="none",
        ),
        Panel(
            title="Circuit open",
            description="Spends that were not sent since the store failed five times in a row; it is looked at five "
            "times a second, and the first good look closes the circuit.",
            queries=(Query(rate(ERRORS, where=of_service('kind="circuit_open"')), "not sent"),),
            unit="ops", width=6, no_value="never",
        ),
        Panel(
            title="Waiting too many",
            description="Spends that were not sent since 4096 waited: the store is too slow for the load.",
            queries=(Query(rate(ERRORS, where=of_service('kind="overloaded"')), "not sent"),),
            unit="ops", width=6, no_value="never",
        ),
        Panel(
            title="Clock",
            description="Refused since the store's clock and ours differ by more than clock.max_skew.",
            queries=(Query(rate(DENIALS, where=of_service('reason="store_clock"')), "refused"),),
            unit="reqps", width=6, no_value="never",
        ),
        Panel(
            title="Fence moved",
            description="How often, by instance: a server of the used-list forgot, was replaced or failed over.",
            queries=(Query(grown("ott_store_fence_moves_total", "instance", over=EVERY), "{{instance}}"),),
            unit="none", width=6, no_value="never",
        ),
    ),
)  # fmt: skip

_EFFECT: Final = Row(
    "What it comes to",
    (
        Panel(
            title="Spends and Checks",
            description="Checks without a spend were refused before, or their credential may come again.",
            queries=(Query(_CHECKS, "Checks"), Query(rate(f"{SPEND}_count"), "spends")),
            unit="reqps", width=12,
        ),
        Panel(
            title="Spends by server",
            description="One that has none left while the others have is not used by Envoy, or has lost its store.",
            queries=(Query(rate(f"{SPEND}_count", "instance"), "{{instance}}"),),
            unit="ops", width=12, stacked=True,
        ),
    ),
)  # fmt: skip

BOARD: Final = Board(
    uid="ott-extauthz-store",
    title="ott-extauthz / Used-list",
    description="The used-list as the Check servers see it: time, faults by kind, fence, clock, circuit.",
    marker="ott_build_info",
    rows=(_SUMMARY, _SERVERS, _TIME, _FAULTS, _EFFECT),
)
