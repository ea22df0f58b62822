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
    mend="Set retries: {attempts: 0} (Istio), or leave retry out, for these routes.",
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
)
