"""How is a request asked about, how often, and what becomes of it when nobody answers?"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.chains import http_options
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.rules.guarded import Guarded

FAILURE_MODE_ALLOW: Final = Rule(
    name="failure-mode-allow",
    severity=Severity.ERROR,
    title="Requests pass when nobody answers",
    why="with the server slow or down every request goes on, and carries its unspent token to the upstream",
    mend="failure_mode_allow: false",
)
FAILURE_MODE_HEADER: Final = Rule(
    name="failure-mode-allow-header",
    severity=Severity.NOTE,
    title="A header is to tell the upstream of requests that nobody checked",
    why="it counts with failure_mode_allow only, and a client can send x-envoy-auth-failure-mode-allowed too",
    mend="leave failure_mode_allow_header_add out",
)
TIMEOUT_MISSING: Final = Rule(
    name="timeout-missing",
    severity=Severity.NOTE,
    title="The timeout of a Check is not written down",
    why="Envoy's default, 0.2 s, surprises whoever plans with 0.25 s, and some control planes put minutes in its place",
    mend="grpc_service: timeout: 0.25s",
)
TIMEOUT_LONG: Final = Rule(
    name="timeout-long",
    severity=Severity.WARNING,
    title="A Check may take longer than 0.25 s",
    why="requests pile up behind a server that hangs; 0s means for ever, and Istio's default is 600 s",
    mend="grpc_service: timeout: 0.25s",
)
CHECK_RETRIES: Final = Rule(
    name="check-retries",
    severity=Severity.WARNING,
    title="A Check is retried",
    why="the first one may have spent the token: the second is then refused, and the caller with it",
    mend="no retry_policy in the filter's grpc_service, and none in the cluster",
)
DECISION_CACHE: Final = Rule(
    name="decision-cache",
    severity=Severity.ERROR,
    title="Decisions or answers are cached",
    why="a replayed decision never spends a token: one token opens as often as the cache is asked",
    mend="no cache before or in ext_authz",
)
UNKNOWN_FIELD: Final = Rule(
    name="unknown-field",
    severity=Severity.NOTE,
    title="The filter has a field that Envoy 1.40 does not know",
    why="what it does was not looked at when these rules were written",
    mend="read what it does; a newer ott-extauthz may know it",
)
ELSEWHERE: Final = Rule(
    name="asked-elsewhere",
    severity=Severity.ERROR,
    title="Another server is asked here",
    why="what it lets pass was not judged by the policy, spends no token, and keeps a client's own x-ott-subject",
    mend="no grpc_service and no http_service in check_settings",
)
STATUS_ON_ERROR: Final = Rule(
    name="status-on-error",
    severity=Severity.NOTE,
    title="An outage answers like a refusal",
    why="the default, 403, tells callers that they may not, and hides the outage from every SLO",
    mend="status_on_error: {code: ServiceUnavailable}",
)
DYNAMIC_METADATA: Final = Rule(
    name="dynamic-metadata",
    severity=Severity.NOTE,
    title="What was decided does not reach the access log",
    why="without it no line of the log can be found again in the audit",
    mend="enable_dynamic_metadata_ingestion: true",
)
RULES: Final = (
    FAILURE_MODE_ALLOW, FAILURE_MODE_HEADER, TIMEOUT_MISSING, TIMEOUT_LONG, CHECK_RETRIES, DECISION_CACHE,
    UNKNOWN_FIELD, ELSEWHERE, STATUS_ON_ERROR, DYNAMIC_METADATA,
)  # fmt: skip

LONGEST_SECONDS: Final = 0.25
_FIELDS: Final = frozenset({
    "grpc_service", "failure_mode_allow", "http_service", "with_request_body", "clear_route_cache", "status_on_error",
    "metadata_context_namespaces", "filter_enabled", "include_peer_certificate", "deny_at_disable",
    "transport_api_version", "stat_prefix", "filter_enabled_metadata", "bootstrap_metadata_labels_key",
    "typed_metadata_context_namespaces", "allowed_headers", "include_tls_session", "failure_mode_allow_header_add",
    "charge_cluster_response_stats", "route_metadata_context_namespaces", "route_typed_metadata_context_namespaces",
    "encode_raw_headers", "validate_mutations", "disallowed_headers", "decoder_header_mutation_rules",
    "enable_dynamic_metadata_ingestion", "filter_metadata", "emit_filter_state_stats",
    "max_denied_response_body_bytes", "enforce_response_header_limits", "shadow_mode", "emit_client_span",
    "clear_route_cache_headers", "@type",
})  # fmt: skip


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what is wrong with how the filter asks."""
    config = guarded.config
    if config["failure_mode_allow"].truth:
        yield config["failure_mode_allow"].breaks(FAILURE_MODE_ALLOW, "failure_mode_allow is true")
    if config["failure_mode_allow_header_add"].truth:
        yield config["failure_mode_allow_header_add"].breaks(
            FAILURE_MODE_HEADER, "failure_mode_allow_header_add is true"
        )
    yield from _call(guarded)
    yield from _fields(guarded)
    if not config["status_on_error"].is_there:
        yield config["status_on_error"].breaks(STATUS_ON_ERROR, "no status_on_error")
    if config["enable_dynamic_metadata_ingestion"].is_false:
        yield config["enable_dynamic_metadata_ingestion"].breaks(DYNAMIC_METADATA, "it is switched off")


def _call(guarded: Guarded) -> Iterator[Finding]:
    """The filter's own call, and the calls that routes put in its place."""
    services = [guarded.config["grpc_service"]]
    for branch, _ in guarded.checked:
        own = [setting.config.at("check_settings", "grpc_service") for setting in branch.settings(guarded.guard.name)]
        services += [service for service in own if service.is_there]
    for service in services:
        timeout = service["timeout"]
        if not timeout.is_there:
            yield timeout.breaks(TIMEOUT_MISSING, "no timeout")
        elif timeout.seconds is None or timeout.seconds > LONGEST_SECONDS or timeout.seconds == 0:
            yield timeout.breaks(TIMEOUT_LONG, f"the timeout is {timeout.value}")
        for retries in (service["retry_policy"], service.at("envoy_grpc", "retry_policy")):
            if retries.is_there:
                yield retries.breaks(CHECK_RETRIES, "grpc_service has a retry_policy")
    cluster = guarded.chain.envoy.clusters.get(guarded.guard.check_cluster)
    if cluster is not None and http_options(cluster)["retry_policy"].is_there:
        told = f"the cluster {guarded.guard.check_cluster} has a retry_policy"
        yield http_options(cluster)["retry_policy"].breaks(CHECK_RETRIES, told)


def _fields(guarded: Guarded) -> Iterator[Finding]:
    for key, node in guarded.config.entries:
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
        if name in _FIELDS:
            continue
        if "cache" in name or "caching" in name:
            yield node.breaks(DECISION_CACHE, f"ext_authz has the field {key}")
        else:
            yield node.breaks(UNKNOWN_FIELD, f"ext_authz has the field {key}")
    index = guarded.chain.filters.index(guarded.guard)
    for before in guarded.chain.filters[:index]:
        if ".http.cache" in before.type or (not before.type and "cache" in before.name):
            yield before.entry.breaks(DECISION_CACHE, f"the filter {before.name} answers before ext_authz is asked")
