"""Who is turned away, and why?  Refusals, replays, stolen credentials, weak ones, and what a change would refuse."""

from typing import Final

from dashboards.board import OF_SERVICE, Board, Row
from dashboards.panel import GREEN, NEUTRAL, RED, YELLOW, Panel, Query
from dashboards.promql import grown, of_routes, of_service, quantile, rate, share

DENIALS: Final = "ott_denials_total"
CHECKS: Final = "ott_checks_total"
STOLEN: Final = (
    "certificate_mismatch|workload_mismatch|dpop_key_mismatch|certificate_conflict|certificate_hop_untrusted"
    "|certificate_header_malformed|trust_domain_unproven"
)
"""Reasons of a credential that is shown by somebody else than it was made for."""

FORGED: Final = (
    "token_signature_invalid|token_algorithm_refused|token_key_unknown|token_issuer_unknown|token_malformed"
    "|token_header_refused|token_type_refused|signature_invalid|signature_key_unknown|api_key_unknown|dpop_proof_invalid"
)
SMUGGLED: Final = (
    "request_malformed|header_malformed|header_lookalike|header_duplicated|host_malformed|path_malformed|path_ambiguous"
    "|credential_duplicated|cross_site_request|repeats_requested"
)
UNKNOWN: Final = "route_unknown|route_condition_unmet|route_name_unknown|route_name_mismatch"
EXPIRED: Final = "token_expired|signature_time_refused|api_key_expired|certificate_expired"
_ALL: Final = rate(CHECKS, where=of_routes())


def _reasons(pattern: str) -> str:
    return rate(DENIALS, "reason", where=of_routes(f'reason=~"{pattern}"'))


_SUMMARY: Final = Row(
    "In the chosen time range",
    (
        Panel(
            title="Replays",
            description="Second uses of a token, a proof or a signed request. Each is a stolen credential, or a client "
            "that repeats itself: the log names both calls.",
            queries=(Query(grown("ott_replays_total", where=of_routes()), "replays", instant=True),),
            kind="stat", unit="none", width=6, height=5, decimals=0, thresholds=((None, GREEN), (1, RED)),
        ),
        Panel(
            title="Somebody else's credential",
            description="A token that is bound to another certificate, workload or key than its caller has.",
            queries=(
                Query(grown(DENIALS, where=of_routes(f'reason=~"{STOLEN}"')), "mismatches", instant=True),
            ),
            kind="stat", unit="none", width=6, height=5, decimals=0, thresholds=((None, GREEN), (1, RED)),
        ),
        Panel(
            title="Failed authentications",
            description="Checks refused with code AUTH_FAILED.",
            queries=(
                Query(grown(CHECKS, where=of_routes('code="AUTH_FAILED"')), "failed", instant=True),
            ),
            kind="stat", unit="none", width=6, height=5, decimals=0, thresholds=NEUTRAL,
        ),
        Panel(
            title="Refused",
            description="Share of all Checks.",
            queries=(Query(share(rate(CHECKS, where=of_routes('outcome="deny"')), _ALL), "refused"),),
            kind="stat", unit="percentunit", width=6, height=5, high=1, thresholds=NEUTRAL,
        ),
    ),
)  # fmt: skip

_REFUSALS: Final = Row(
    "Refusals",
    (
        Panel(
            title="By reason",
            description="The exact reason; docs/troubleshooting.md tells for each who mends it.",
            queries=(Query(rate(DENIALS, "reason", where=of_routes()), "{{reason}}"),),
            unit="reqps", width=12, height=9, stacked=True,
        ),
        Panel(
            title="By route",
            description='The policy\'s routes; "none" is what matched no route.',
            queries=(Query(rate(DENIALS, "route", where=of_routes()), "{{route}}"),),
            unit="reqps", width=12, height=9, stacked=True,
        ),
        Panel(
            title="Reasons and routes",
            description="How often each came in the chosen time range, the most frequent first.",
            queries=(
                Query(f"topk(20, {grown(DENIALS, 'reason', 'route', where=of_routes())} > 0)", instant=True),
            ),
            kind="table", unit="none", width=12, height=9, decimals=0,
        ),
        Panel(
            title="Refused share by route",
            description="A step up after a change of the policy, or of one client, shows here first.",
            queries=(
                Query(
                    share(
                        rate(CHECKS, "route", where=of_routes('outcome="deny"')),
                        rate(CHECKS, "route", where=of_routes()),
                    ),
                    "{{route}}",
                ),
            ),
            unit="percentunit", width=12, height=9, high=1,
        ),
    ),
)  # fmt: skip

_OF_CLIENTS: Final = "ott_client_checks_total"
_CLIENTS: Final = Row(
    "Clients",
    (
        Panel(
            title="Refused, by client",
            description='Whose proven credential was refused, and where; "none" is nobody\'s, "other" a client that '
            "our files do not name.",
            queries=(
                Query(
                    rate(_OF_CLIENTS, "client", "region", where=of_service('outcome="deny"')),
                    "{{client}} {{region}}",
                ),
            ),
            unit="reqps", stacked=True,
        ),
        Panel(
            title="Refused share by client",
            description="A client that is refused more than the others was changed, or is misused.",
            queries=(
                Query(
                    share(
                        rate(_OF_CLIENTS, "client", where=of_service('outcome="deny"')), rate(_OF_CLIENTS, "client")
                    ),
                    "{{client}}",
                ),
            ),
            unit="percentunit", high=1,
        ),
        Panel(
            title="Two certificates, repeated Checks",
            description="Requests whose connection and XFCC speak of different certificates: spoofing, or a wrong hop "
            "configuration. And Checks let through as the repetition of one that was let through.",
            queries=(
                Query(rate("ott_certificate_conflicts_total"), "two certificates"),
                Query(rate("ott_reservation_hits_total"), "repeated"),
            ),
            unit="reqps", colours={"two certificates": RED},
        ),
    ),
)  # fmt: skip

_ATTACKS: Final = Row(
    "Signs of an attack",
    (
        Panel(
            title="Replays by route",
            description="Second uses, each on the route that refused it.",
            queries=(Query(rate("ott_replays_total", "route", where=of_routes()), "{{route}}"),),
            unit="reqps", stacked=True, no_value="none",
        ),
        Panel(
            title="Somebody else's credential",
            description="Bound to another certificate, workload or key; or two sources name two certificates, which is "
            "spoofing or a wrong hop configuration.",
            queries=(Query(_reasons(STOLEN), "{{reason}}"),),
            unit="reqps", stacked=True, no_value="none",
        ),
        Panel(
            title="Forged credentials",
            description="Signatures, keys, algorithms and issuers that do not hold.",
            queries=(Query(_reasons(FORGED), "{{reason}}"),),
            unit="reqps", stacked=True, no_value="none",
        ),
        Panel(
            title="Ambiguous requests",
            description="Headers, hosts and paths that two readers would read differently: request smuggling looks so.",
            queries=(Query(_reasons(SMUGGLED), "{{reason}}"),),
            unit="reqps", stacked=True, no_value="none",
        ),
        Panel(
            title="No such route",
            description="Scans, and routes that the policy forgot.",
            queries=(Query(_reasons(UNKNOWN), "{{reason}}"),),
            unit="reqps", stacked=True, no_value="none",
        ),
        Panel(
            title="Authentication failures by route",
            description="Code AUTH_FAILED: a missing, foreign or broken credential.",
            queries=(Query(rate(CHECKS, "route", where=of_routes('code="AUTH_FAILED"')), "{{route}}"),),
            unit="reqps", stacked=True, no_value="none",
        ),
    ),
)  # fmt: skip

_TERMS: Final = Row(
    "Terms of the policy",
    (
        Panel(
            title="Expired",
            description="Share of all Checks whose credential had ended. It grows when clients mint too early, or "
            "clocks drift apart.",
            queries=(
                Query(share(rate(DENIALS, where=of_routes(f'reason=~"{EXPIRED}"')), _ALL), "expired"),
            ),
            unit="percentunit", thresholds=((None, GREEN), (0.01, YELLOW), (0.05, RED)),
        ),
        Panel(
            title="Step-up asked for",
            description="The login was too old for the route (RFC 9470): the user logs in again.",
            queries=(Query(rate(CHECKS, "route", where=of_routes('code="REAUTHENTICATION_REQUIRED"')), "{{route}}"),),
            unit="reqps", stacked=True, no_value="none",
        ),
        Panel(
            title="Rules and scopes",
            description="Authenticated callers who may not: scopes, clients, constraints, conditions, limits.",
            queries=(
                Query(
                    rate(CHECKS, "code", where=of_routes('code=~"SCOPE_DENIED|CONSTRAINT_DENIED|RATE_LIMITED"')),
                    "{{code}}",
                ),
            ),
            unit="reqps", stacked=True, no_value="none",
        ),
        Panel(
            title="Shadow: other than the policy in force",
            description="Answers that the shadow policy would have given otherwise; skipped: too many waited.",
            queries=(
                Query(
                    rate("ott_shadow_disagreements_total", "route", "outcome", where=of_routes()),
                    "{{route}} {{outcome}}",
                ),
                Query(rate("ott_shadow_skipped_total"), "skipped"),
            ),
            unit="reqps", no_value="none",
        ),
        Panel(
            title="Shadow: what would be refused",
            description="By a route in shadow, or by the shadow policy; who it is stands in the audit.",
            queries=(
                Query(
                    rate("ott_shadow_decisions_total", "by", "route", "code", where=of_routes('outcome="deny"')),
                    "{{by}} {{route}} {{code}}",
                ),
            ),
            unit="reqps", no_value="none",
        ),
        Panel(
            title="API keys that end soon",
            description="Make new ones, and give them to their clients, before the old ones end.",
            queries=(
                Query(f"max by (within) (ott_api_keys_ending{{{OF_SERVICE}}})", "within {{within}}"),
                Query(f"max (ott_api_keys{{{OF_SERVICE}}})", "in force"),
            ),
            unit="none", decimals=0,
        ),
    ),
)  # fmt: skip

_ASKED: Final = Row(
    "Opaque tokens, and what leaves",
    (
        Panel(
            title="Introspection by result",
            description="Questions to the issuers of opaque tokens (RFC 7662), by how they ended.",
            queries=(Query(rate("ott_introspections_total", "issuer", "result"), "{{issuer}} {{result}}"),),
            unit="reqps", stacked=True, no_value="none",
        ),
        Panel(
            title="Introspection, time",
            description="What an issuer needs for an answer; it is part of the Check.",
            queries=tuple(
                Query(quantile(each, "ott_introspection_seconds", "issuer"), f"p{each * 100:.0f} {{{{issuer}}}}")
                for each in (0.5, 0.99)
            ),
            unit="s", thresholds=((None, GREEN), (0.25, RED)), no_value="none",
        ),
        Panel(
            title="Attached and signed",
            description="Requests that left with a token or a signature of ours.",
            queries=(
                Query(rate("ott_tokens_attached_total", "audience", where=of_routes()), "token for {{audience}}"),
                Query(rate("ott_requests_signed_total", "key", where=of_routes()), "signed with {{key}}"),
            ),
            unit="reqps", stacked=True, no_value="none",
        ),
    ),
)  # fmt: skip

BOARD: Final = Board(
    uid="ott-extauthz-security",
    title="ott-extauthz / Security",
    description="Refusals by reason and route, replays, stolen and forged credentials, step-up, shadow policies.",
    marker="ott_build_info",
    has_routes=True,
    rows=(_SUMMARY, _REFUSALS, _CLIENTS, _ATTACKS, _TERMS, _ASKED),
)
