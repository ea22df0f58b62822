"""Who gets tokens, who does not, and are the keys in order?"""

from typing import Final

from dashboards.board import OF_SERVICE, Board, Row
from dashboards.panel import GREEN, NEUTRAL, RED, YELLOW, Panel, Query
from dashboards.promql import EVERY, grown, of_service, rate, share

ISSUED: Final = "ott_tokens_issued_total"
REFUSED: Final = "ott_token_requests_refused_total"
FAILURES: Final = "ott_client_authentication_failures_total"
DAY: Final = 86_400

_SUMMARY: Final = Row(
    "Now",
    (
        Panel(
            title="Tokens per second",
            description="Tokens minted, for all clients and audiences; a batch counts each of its tokens.",
            queries=(Query(rate(ISSUED), "minted"),),
            kind="stat", unit="ops", width=6, height=5, thresholds=NEUTRAL,
        ),
        Panel(
            title="Refused requests",
            description="Share of token requests that got none, among tokens and refusals.",
            queries=(Query(share(rate(REFUSED), f"({rate(ISSUED)} + ({rate(REFUSED)} or vector(0)))"), "refused"),),
            kind="stat", unit="percentunit", width=6, height=5, high=1,
            thresholds=((None, GREEN), (0.05, YELLOW), (0.2, RED)),
        ),
        Panel(
            title="Failed authentications",
            description="In the chosen time range, under the name of a client of ours or of none.",
            queries=(Query(grown(FAILURES), "failed", instant=True),),
            kind="stat", unit="none", width=6, height=5, decimals=0, thresholds=NEUTRAL,
        ),
        Panel(
            title="Rotation overdue",
            description="By how much the ring that is latest should have replaced its active key. 0 is in time.",
            queries=(Query(f"max (ott_key_rotation_overdue_seconds{{{OF_SERVICE}}})", "overdue"),),
            kind="stat", unit="s", width=6, height=5, thresholds=((None, GREEN), (1, YELLOW), (3600, RED)),
        ),
    ),
)  # fmt: skip

_TOKENS: Final = Row(
    "Tokens",
    (
        Panel(
            title="By client",
            description="Who mints; the names are those of clients.yaml.",
            queries=(Query(rate(ISSUED, "client"), "{{client}}"),),
            unit="ops", stacked=True,
        ),
        Panel(
            title="By audience",
            description="Whom the tokens are for: aud.",
            queries=(Query(rate(ISSUED, "audience"), "{{audience}}"),),
            unit="ops", stacked=True,
        ),
        Panel(
            title="Refusals by client and error",
            description='OAuth error codes; "unknown" is a client that is not authenticated.',
            queries=(Query(rate(REFUSED, "client", "error"), "{{client}} {{error}}"),),
            unit="ops", stacked=True, no_value="none",
        ),
        Panel(
            title="Failed authentications",
            description="By the client whose name was used: somebody guesses, or a credential was changed on one side.",
            queries=(Query(rate(FAILURES, "client", where=of_service('limited="false"')), "{{client}}"),),
            unit="ops", stacked=True, no_value="none",
        ),
        Panel(
            title="Not even looked at",
            description="Authentications refused unread, since too many failed before under that name.",
            queries=(Query(rate(FAILURES, "client", where=of_service('limited="true"')), "{{client}}"),),
            unit="ops", stacked=True, no_value="none",
        ),
        Panel(
            title="Tokens in the chosen time range",
            description="By client and audience.",
            queries=(Query(f"{grown(ISSUED, 'client', 'audience')} > 0", instant=True),),
            kind="table", unit="none", decimals=0,
        ),
    ),
)  # fmt: skip

_KEYS: Final = Row(
    "Keys",
    (
        Panel(
            title="Age of keys",
            description="By state: next, active, retiring. A retired key is shown no more.",
            queries=(Query(f"max by (kid, state) (ott_signing_key_age_seconds{{{OF_SERVICE}}})", "{{state}} {{kid}}"),),
            unit="s", thresholds=((None, GREEN), (90 * DAY, YELLOW)),
        ),
        Panel(
            title="Rotation overdue",
            description="By ring; 0 while it need not, or is never by itself.",
            queries=(Query(f"max by (ring) (ott_key_rotation_overdue_seconds{{{OF_SERVICE}}})", "{{ring}}"),),
            unit="s", thresholds=((None, GREEN), (3600, RED)),
        ),
        Panel(
            title="Rotations and failures",
            description="Active keys replaced, and times that a ring could not be followed or turned.",
            queries=(
                Query(grown("ott_key_rotations_total", "ring", over=EVERY), "rotated {{ring}}"),
                Query(grown("ott_key_ring_failures_total", "ring", over=EVERY), "failed {{ring}}"),
            ),
            unit="none", no_value="none",
        ),
    ),
)  # fmt: skip

_ITSELF: Final = Row(
    "The issuer itself",
    (
        Panel(
            title="Servers scraped",
            description="Targets of the job that answer Prometheus, and those that do not.",
            queries=(
                Query('sum (up{namespace=~"$namespace",job=~"$job"})', "up"),
                Query('count (up{namespace=~"$namespace",job=~"$job"} == 0) or vector(0)', "down"),
            ),
            unit="none", width=6, decimals=0, colours={"up": GREEN, "down": RED},
        ),
        Panel(
            title="Faults",
            description="By type of exception; any is worth a report.",
            queries=(Query(rate("ott_issuer_errors_total", "type"), "{{type}}"),),
            unit="ops", width=6, stacked=True, no_value="none",
        ),
        Panel(
            title="Audit",
            description="Lines written, and lines that could not be: with a required audit nobody gets the token.",
            queries=(
                Query(rate("ott_issuer_audit_records_total"), "written"),
                Query(rate("ott_issuer_audit_failures_total"), "failed"),
            ),
            unit="ops", width=6, colours={"written": GREEN, "failed": RED},
        ),
        Panel(
            title="Reloads",
            description="Changed clients and key sets. Refused: what was in force stays, and the log says why.",
            queries=(
                Query(grown("ott_issuer_reloads_total", "result", over=EVERY), "clients {{result}}"),
                Query(grown("ott_key_set_reloads_total", "issuer", "result", over=EVERY), "{{issuer}} {{result}}"),
            ),
            unit="none", width=6, no_value="none",
        ),
    ),
)  # fmt: skip

BOARD: Final = Board(
    uid="ott-extauthz-issuer",
    title="ott-extauthz / Issuer",
    description="Tokens by client and audience, refusals, failed authentications, keys and their rotation.",
    marker="ott_issuer_audit_records_total",
    rows=(_SUMMARY, _TOKENS, _KEYS, _ITSELF),
)
