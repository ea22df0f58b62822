"""Do we see the request as it came, and may we answer as we must?  Headers, certificates, and what we may change."""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.re2 import full_match
from ott_extauthz.envoy_lint.rules.guarded import Guarded
from ott_extauthz.envoy_lint.rules.order import NOT_JUDGED
from ott_extauthz.wire.encode import CREDENTIAL_HEADER, IDENTITY_HEADERS

RAW_HEADERS: Final = Rule(
    name="encode-raw-headers",
    severity=Severity.WARNING,
    title="Headers do not arrive as they were sent",
    why="repeated headers come joined by commas, other bytes than UTF-8 as '!': such calls are refused",
    mend="encode_raw_headers: true",
)
PEER_CERTIFICATE: Final = Rule(
    name="include-peer-certificate",
    severity=Severity.WARNING,
    title="The caller's certificate is not sent along",
    why="client_certificate.source is peer: without it every token bound to a certificate is refused",
    mend="include_peer_certificate: true; where the control plane cannot, client_certificate: {source: xfcc}",
)
ALLOWED_HEADERS: Final = Rule(
    name="allowed-headers",
    severity=Severity.WARNING,
    title="Only some headers are shown to the server",
    why="what it is not shown it cannot remove: a client's own x-ott-role reaches the upstream",
    mend="no allowed_headers",
)
DISALLOWED_HEADERS: Final = Rule(
    name="disallowed-headers",
    severity=Severity.WARNING,
    title="Some headers are hidden from the server",
    why="what it is not shown it can neither verify nor remove",
    mend="no disallowed_headers",
)
VALIDATE_MUTATIONS: Final = Rule(
    name="validate-mutations",
    severity=Severity.WARNING,
    title="Envoy does not look at the headers of our answers",
    why="a line break in one would split the response; the server strips them, and this is the second pair of eyes",
    mend="validate_mutations: true",
)
MUTATION_RULES: Final = Rule(
    name="mutation-rules",
    severity=Severity.WARNING,
    title="The server may change any header",
    why="a bug in it, or whoever answers in its place, could rewrite :path",
    mend="decoder_header_mutation_rules as in envoy/envoy.yaml: disallow_all, disallow_is_error, allow_expression",
)
MUTATIONS_REFUSED: Final = Rule(
    name="mutation-refused",
    severity=Severity.WARNING,
    title="The server may not change a header that it has to",
    why="Envoy answers 500 to each call for which the header is set or removed",
    mend="add the header to allow_expression; it has to match the whole name",
)
MUTATIONS_DROPPED: Final = Rule(
    name="mutation-dropped",
    severity=Severity.ERROR,
    title="A header that the server sets or removes stays as the client sent it",
    why="the change is dropped in silence: a client's x-ott-subject, or the token, reaches the upstream",
    mend="add the header to allow_expression, and set disallow_is_error: true",
)
CLEAR_ROUTE_CACHE: Final = Rule(
    name="clear-route-cache",
    severity=Severity.WARNING,
    title="The route is chosen anew after the Check",
    why="a header of the answer could lead to a route that is not guarded",
    mend="clear_route_cache: false; if your headers steer routing, guard every route they can lead to",
)
RULES: Final = (
    RAW_HEADERS, PEER_CERTIFICATE, ALLOWED_HEADERS, DISALLOWED_HEADERS, VALIDATE_MUTATIONS, MUTATION_RULES,
    MUTATIONS_REFUSED, MUTATIONS_DROPPED, CLEAR_ROUTE_CACHE,
)  # fmt: skip

_OTHERS: Final = (
    ":path",
    ":method",
    ":authority",
    "host",
    "content-length",
    "x-forwarded-client-cert",
    "x-envoy-retry-on",
)
"""Some headers that are never ours to change."""
_FAMILY: Final = ("x-ott-role", "x-ott-1", "x-ott-a.b")
"""Some that a client may invent: what it sends in our family is taken off, whatever its name."""
_WANTED: Final = ((VALIDATE_MUTATIONS, "validate_mutations"), (RAW_HEADERS, "encode_raw_headers"))
_UNWANTED: Final = ((ALLOWED_HEADERS, "allowed_headers"), (DISALLOWED_HEADERS, "disallowed_headers"))


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what keeps Check and answer from being whole."""
    config = guarded.config
    for rule, key in _WANTED:
        if not config[key].truth:
            yield config[key].breaks(rule, f"{key} is not true")
    for rule, key in _UNWANTED:
        if config[key].is_there:
            yield config[key].breaks(rule, f"{key} is set")
    takes_peer = guarded.expected.certificate_source == "peer" and not guarded.is_attaching
    if takes_peer and not config["include_peer_certificate"].truth:
        yield config["include_peer_certificate"].breaks(PEER_CERTIFICATE, "include_peer_certificate is not true")
    if config["clear_route_cache"].truth:
        yield config["clear_route_cache"].breaks(CLEAR_ROUTE_CACHE, "clear_route_cache is true")
    if config["clear_route_cache_headers"].is_there:
        yield config["clear_route_cache_headers"].breaks(CLEAR_ROUTE_CACHE, "clear_route_cache_headers is set")
    yield from _mutations(guarded)


def _mutations(guarded: Guarded) -> Iterator[Finding]:
    rules = guarded.config["decoder_header_mutation_rules"]
    is_told = rules["disallow_is_error"].truth
    if not rules["disallow_all"].truth:
        yield rules.breaks(MUTATION_RULES, "no decoder_header_mutation_rules with disallow_all")
    for node in (rules["allow_expression"], rules["disallow_expression"]):
        if node["regex"].text and full_match(node["regex"].text, "") is None:
            yield node.breaks(NOT_JUDGED, "RE2 does not take this expression")
            return
    wide = [name for name in _OTHERS if rules["disallow_all"].truth and _may_change(rules, name)]
    if wide:
        yield rules["allow_expression"].breaks(MUTATION_RULES, f"allowed: {', '.join(wide)}")
    # A name that a client invents is its own fault where it gets a 500 for it, and ours where it arrives.
    changed = _changed(guarded).union(() if is_told else _FAMILY)
    refused = sorted(name for name in changed if not _may_change(rules, name))
    if refused:
        rule = MUTATIONS_REFUSED if is_told else MUTATIONS_DROPPED
        yield rules["allow_expression"].breaks(rule, f"not allowed: {', '.join(refused)}")


def _changed(guarded: Guarded) -> set[str]:
    """Every header that we set or remove on the routes behind this filter."""
    behind = [route for _, served in guarded.checked for route in served]
    return {CREDENTIAL_HEADER, *IDENTITY_HEADERS, *(name for route in behind for name in route.headers)}


def _may_change(rules: Node, name: str) -> bool:
    """Envoy's order: what is expressly forbidden, what is expressly allowed, then the rest."""
    if _matches(rules["disallow_expression"], name):
        return False
    return _matches(rules["allow_expression"], name) or not rules["disallow_all"].truth


def _matches(expression: Node, name: str) -> bool:
    regex = expression["regex"].text
    return bool(regex) and bool(full_match(regex, name))
