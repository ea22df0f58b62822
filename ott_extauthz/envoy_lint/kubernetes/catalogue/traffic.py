"""What must hold of one-time routes, and of patches to Envoy's own configuration?"""

from typing import Final

from ott_extauthz.envoy_lint.finding import Rule, Severity

RETRIES: Final = Rule(
    name="one-time-route-retried",
    severity=Severity.ERROR,
    title="A proxy retries requests of a one-time route.",
    why=(
        "One Check can become several deliveries, if the proxy retries behind the Check; if it retries in "
        "front of it, every retry is refused as a replay."
    ),
    mend="For these routes set retries: {attempts: 0} (Istio), or leave retry out, and write no x-envoy-retry-on.",
)
DEFAULT_RETRIES: Final = Rule(
    name="one-time-route-retried-by-default",
    severity=Severity.WARNING,
    title="Istio retries requests of a one-time route by default.",
    why=(
        "Where a route says nothing Istio retries twice when a connection fails, a stream is refused, or a "
        "gRPC server says UNAVAILABLE; a retry in front of the Check is refused as a replay."
    ),
    mend="Set retries: {attempts: 0} for these routes, or meshConfig.defaultHttpRetryPolicy: {attempts: 0}.",
)
MIRRORED: Final = Rule(
    name="one-time-route-mirrored",
    severity=Severity.ERROR,
    title="A proxy sends copies of requests of a one-time route elsewhere.",
    why=(
        "The copy carries what the request carries: the unspent token in front of the Check, the proven "
        "identity behind it."
    ),
    mend="Mirror no one-time route.",
)
PATCH_FAIL_OPEN: Final = Rule(
    name="patch-fail-open",
    severity=Severity.ERROR,
    title="A patch makes ext_authz fail open.",
    why="While the server is down every request passes, with its unspent token in it.",
    mend="Leave failure_mode_allow out.",
)
PATCH_SHADOW: Final = Rule(
    name="patch-shadow-mode",
    severity=Severity.ERROR,
    title="A patch puts ext_authz into shadow mode.",
    why="Everything passes, and the tokens are spent nevertheless.",
    mend="Leave shadow_mode out; the server's policy has a shadow mode of its own.",
)
PATCH_DISABLED: Final = Rule(
    name="patch-disables-checks",
    severity=Severity.ERROR,
    title="A patch switches ext_authz off, in whole or in part.",
    why="The requests concerned pass unchecked.",
    mend="Leave it out; a public route belongs into the server's policy.",
)
PATCH_HEADERS: Final = Rule(
    name="patch-hides-headers",
    severity=Severity.ERROR,
    title="A patch keeps request headers from the server.",
    why=(
        "The server cannot remove an identity header that it was not shown, so a client's own x-ott-subject "
        "reaches the upstream."
    ),
    mend="Leave allowed_headers and disallowed_headers out.",
)
PATCH_GUARD: Final = Rule(
    name="patch-removes-guard",
    severity=Severity.WARNING,
    title="A patch takes a guard of ext_authz or of the connection manager away.",
    why="It is one of those that the shipped configuration sets, each against an attack that was seen.",
    mend="Leave it out; envoy/README.md says what each setting is against.",
)
PATCH_REPEATS: Final = Rule(
    name="patch-repeats-requests",
    severity=Severity.WARNING,
    title="A patch has Envoy send a request more than once.",
    why="Retries, internal redirects and mirrors make several deliveries, or several Checks, of one request.",
    mend="Keep such patches away from one-time routes.",
)
PATCH_ROUTE_CACHE: Final = Rule(
    name="patch-clears-route-cache",
    severity=Severity.WARNING,
    title="A patch clears the route cache after the Check.",
    why="The request may be routed elsewhere after it was judged.",
    mend="Leave clear_route_cache out.",
)
PATCH_REPLACED: Final = Rule(
    name="patch-replaces-check",
    severity=Severity.WARNING,
    title="A patch puts another ext_authz in the place of the one that asks the server.",
    why="Nothing holds any more of what the mesh's configuration says: whom it asks, how long, about which requests.",
    mend="Merge single fields into ext_authz instead.",
)
PATCH_UNCLEAR: Final = Rule(
    name="patch-by-number",
    severity=Severity.NOTE,
    title="A patch takes away or moves an HTTP filter by its number.",
    why="Which filter that is depends on every other setting; it may be ext_authz, or what marks requests for it.",
    mend="Name the filter: jsonPath with @.name, or a subFilter.",
)
SIDE_DOOR: Final = Rule(
    name="patch-side-door",
    severity=Severity.WARNING,
    title="A patch opens a way into a proxy on which nobody is asked.",
    why="What it leads to may be what the server guards elsewhere, with whatever x-ott-subject the client writes.",
    mend="Put ext_authz into the listener or chain that is added too, or leave it out.",
)
FILTER_BEHIND: Final = Rule(
    name="filter-behind-check",
    severity=Severity.WARNING,
    title="A filter is put behind ext_authz that can change what was judged.",
    why="It may rewrite the path, choose another route, or add an identity that nobody checked.",
    mend="Put it before ext_authz: INSERT_FIRST, or phase AUTHN or AUTHZ; or leave it out.",
)
INTERNAL: Final = Rule(
    name="patch-internal-callers",
    severity=Severity.ERROR,
    title="A patch lets callers have Envoy repeat their calls.",
    why=(
        "Of callers with internal addresses Envoy obeys x-envoy-retry-on and hedges: one Check, one token spent, "
        "several deliveries."
    ),
    mend="Leave internal_address_config out, or have routes remove these headers.",
)
IDENTITY: Final = Rule(
    name="identity-header-written",
    severity=Severity.WARNING,
    title="A route writes one of the server's identity headers itself.",
    why="Where it does so behind the Check, the upstream is told of an identity that nobody proved.",
    mend="Set no x-ott or x-ott-... header.",
)
LOGGED: Final = Rule(
    name="mesh-logs-credential",
    severity=Severity.ERROR,
    title="Logs or traces of the proxies get credentials.",
    why="The token of a refused call is there unspent, and an access token or a cookie goes on being good.",
    mend="Take the header out of the format, or out of the tags.",
)
ADDRESS: Final = Rule(
    name="caller-address-from-header",
    severity=Severity.WARNING,
    title="The caller's address is taken from a header.",
    why="A client writes that header, and with it an address that cidr or asn would let pass.",
    mend="Count the hops of your own proxies in X-Forwarded-For, and no more of them than there are.",
)
RULES: Final = (
    RETRIES,
    DEFAULT_RETRIES,
    MIRRORED,
    PATCH_FAIL_OPEN,
    PATCH_SHADOW,
    PATCH_DISABLED,
    PATCH_HEADERS,
    PATCH_GUARD,
    PATCH_REPEATS,
    PATCH_ROUTE_CACHE,
    PATCH_REPLACED,
    PATCH_UNCLEAR,
    SIDE_DOOR,
    FILTER_BEHIND,
    INTERNAL,
    IDENTITY,
    LOGGED,
    ADDRESS,
)
