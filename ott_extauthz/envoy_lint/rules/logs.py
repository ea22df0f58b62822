"""Does a log or a trace get what opens a door?  Access logs and the tags of spans."""

import re
from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node, strings_in
from ott_extauthz.envoy_lint.rules.guarded import Guarded

LOGGED_CREDENTIAL: Final = Rule(
    name="logged-credential",
    severity=Severity.ERROR,
    title="A log, a trace or a counter gets credentials",
    why="the token of a refused call is there unspent, and an access token or a cookie goes on being good",
    mend="log %DYNAMIC_METADATA(envoy.filters.http.ext_authz)%, whose token_id names a token without being one",
)
LOGGED_QUERY: Final = Rule(
    name="logged-query",
    severity=Severity.NOTE,
    title="An access log has the query",
    why="secrets end up in queries, and logs are read by many; Envoy's own format has it too",
    mend='"%PATH(NQ)%" in a log_format of your own',
)
RULES: Final = (LOGGED_CREDENTIAL, LOGGED_QUERY)

SECRET: Final = frozenset({
    "x-ott", "authorization", "proxy-authorization", "cookie", "dpop", "txn-token", "x-api-key",
})  # fmt: skip
_COMMAND: Final = re.compile(r"%(REQ|REQ_WITHOUT_QUERY|REQUEST_HEADER)\(([^)]{1,256})\)", re.IGNORECASE)
_CEL: Final = re.compile(r"request\.headers\[\s*['\"]([^'\"]{1,64})['\"]\s*\]")
_WITH_QUERY: Final = re.compile(
    r"%REQ\((?:[^)]{0,256}\?)?(?::PATH|X-ENVOY-ORIGINAL-PATH)(?:\?[^)]{0,256})?\)|%PATH\((?:WQ|ORIG)?(?::[A-Z]*)?\)|%PATH%"
    r"|%QUERY_PARAMS?\(",
    re.IGNORECASE,
)
_OWN_FORMAT: Final = ("StdoutAccessLog", "StderrAccessLog", "FileAccessLog")
_HEADER_LISTS: Final = ("additional_request_headers_to_log", "request_headers_to_log")


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what the logs and traces of a guarded chain get."""
    hcm = guarded.chain.hcm
    routers = [each.config["upstream_log"] for each in guarded.chain.filters]
    for logs in (hcm["access_log"], guarded.chain.listener["access_log"], *routers):
        for log in logs:
            yield from _logged(log)
    for each in guarded.chain.filters:
        if ".http.tap." in each.type:
            yield each.entry.breaks(LOGGED_CREDENTIAL, f"{each.name} copies whole requests")
    yield from _traced(hcm["tracing"])
    counts_elsewhere = any(".http.ratelimit." in each.type for each in guarded.chain.filters)
    for branch in guarded.branches:
        yield from _traced(branch.route["tracing"])
        if counts_elsewhere:
            yield from _counted(branch.route.at("route", "rate_limits"), branch.virtual_host["rate_limits"])


def _counted(*limits: Node) -> Iterator[Finding]:
    """What a rate limit counts by is sent to its server, and kept there as a key."""
    for each in (limit for listed in limits for limit in listed):
        for action in each["actions"]:
            header = action.at("request_headers", "header_name")
            if header.text.lower() in SECRET:
                told = f"the rate limit server gets the header {header.text.lower()}"
                yield header.breaks(LOGGED_CREDENTIAL, told)


def _logged(log: Node) -> Iterator[Finding]:
    kind, config = log["typed_config"].typed
    for node, text in strings_in(config):
        for name in sorted(headers_named(text) & SECRET):
            yield node.breaks(LOGGED_CREDENTIAL, f"the access log has the header {name}")
        if _WITH_QUERY.search(text):
            yield node.breaks(LOGGED_QUERY, "the access log has the path with its query")
    has_own = any(config[key].is_there for key in ("log_format", "format", "json_format", "typed_json_format"))
    if kind.rpartition(".")[2] in _OWN_FORMAT and not has_own:
        yield log["typed_config"].breaks(LOGGED_QUERY, "Envoy's own format has the path with its query")
    for key in _HEADER_LISTS:
        for header in config[key]:
            if header.text.lower() in SECRET:
                yield header.breaks(LOGGED_CREDENTIAL, f"the access log has the header {header.text.lower()}")


def headers_named(text: str) -> set[str]:
    """Return the request headers that a format names."""
    commands = [name for _, names in _COMMAND.findall(text) for name in names.split("?")]
    return {name.strip().lower() for name in (*commands, *_CEL.findall(text))}


def _traced(tracing: Node) -> Iterator[Finding]:
    for tag in tracing["custom_tags"]:
        name = tag.at("request_header", "name")
        named = {name.text.lower(): name} | dict.fromkeys(headers_named(tag["value"].text), tag["value"])
        for header in sorted(named.keys() & SECRET):
            yield named[header].breaks(LOGGED_CREDENTIAL, f"every span has the header {header}")
