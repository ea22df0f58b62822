"""What must hold of the mesh's extension provider?"""

from typing import Final

from ott_extauthz.envoy_lint.finding import Rule, Severity

FAIL_OPEN: Final = Rule(
    name="istio-fail-open",
    severity=Severity.ERROR,
    title="The extension provider fails open.",
    why="While the server is down, slow or restarting every request passes, with its unspent token in it.",
    mend="Set failOpen: false, or leave it out.",
)
TIMEOUT: Final = Rule(
    name="istio-check-timeout",
    severity=Severity.WARNING,
    title="The extension provider has no timeout, or a long one.",
    why=(
        "Istio's default is 600 s: a server that hangs holds every request for ten minutes. The server itself "
        "gives up after 1 s."
    ),
    mend="Set timeout: 0.25s.",
)
STATUS: Final = Rule(
    name="istio-status-on-error",
    severity=Severity.NOTE,
    title="The extension provider has no statusOnError.",
    why=(
        "Without it clients get 403 when the server cannot be asked, as if they had been refused, and error "
        "rates hide the outage."
    ),
    mend='Set statusOnError: "503".',
)
ROUTE_CACHE: Final = Rule(
    name="istio-clear-route-cache",
    severity=Severity.WARNING,
    title="The extension provider clears the route cache.",
    why=(
        "The request may be routed elsewhere after it was judged. Istio of September 2026 ignores the field; "
        "a later one may not."
    ),
    mend="Leave clearRouteCache out.",
)
PARTIAL_BODY: Final = Rule(
    name="istio-partial-body",
    severity=Severity.WARNING,
    title="The extension provider sends the beginnings of bodies.",
    why="Routes that judge a body refuse one that is not whole (body_incomplete).",
    mend="Set allowPartialMessage: false; larger bodies are then answered with 413.",
)
NO_BODY: Final = Rule(
    name="istio-body-missing",
    severity=Severity.WARNING,
    title="The policy has routes that judge the body, and the extension provider sends none.",
    why="Every call of these routes is refused (body_incomplete).",
    mend="Set includeRequestBodyInCheck: {maxRequestBytes: 65536, packAsBytes: true}.",
)
TEXT_BODY: Final = Rule(
    name="istio-body-as-text",
    severity=Severity.WARNING,
    title=(
        "The policy has routes that verify a signature or digest of the body, and the extension provider "
        "sends it as text."
    ),
    why="Bytes that are no UTF-8 become !, so such a body cannot be verified and is refused (body_not_binary_safe).",
    mend="Set packAsBytes: true.",
)
BODY_LIMIT: Final = Rule(
    name="istio-body-limit",
    severity=Severity.WARNING,
    title="The extension provider's limit for bodies is too small or too large.",
    why=(
        "Below 8 KiB usual bodies are answered with 413 and never checked; at 4 MiB and more the Check itself "
        "becomes larger than the server takes."
    ),
    mend="Set maxRequestBytes: 65536, or what your largest body needs.",
)
NEEDLESS_BODY: Final = Rule(
    name="istio-body-not-needed",
    severity=Severity.NOTE,
    title="The extension provider sends bodies, and no route of the policy judges one.",
    why=(
        "Every request is held until its body has come; gRPC streams and large uploads hang or are answered with 413."
    ),
    mend="Leave includeRequestBodyInCheck out, or give the routes with a body a provider of their own.",
)
HTTP_PROVIDER: Final = Rule(
    name="istio-http-provider",
    severity=Severity.WARNING,
    title="The extension provider speaks HTTP.",
    why="The server speaks Envoy's gRPC protocol only, so every request is refused.",
    mend="Use envoyExtAuthzGrpc.",
)
PROVIDER_NAME: Final = Rule(
    name="istio-provider-name",
    severity=Severity.WARNING,
    title="The extension provider's name is none that Istio takes.",
    why="Istio refuses the provider, and then every request of the policies that name it.",
    mend="At most 63 of a-z, 0-9 and -, beginning and ending with a letter or a digit.",
)
PROVIDER_UNKNOWN: Final = Rule(
    name="istio-provider-unknown",
    severity=Severity.WARNING,
    title="The policy names an extension provider that the mesh does not have.",
    why="Istio refuses every request that the policy means, and says so only in its proxies' logs.",
    mend="Name a provider of meshConfig.extensionProviders, or add it there.",
)
UNREADABLE: Final = Rule(
    name="istio-mesh-unreadable",
    severity=Severity.WARNING,
    title="The mesh configuration cannot be read.",
    why="It is not YAML, or no mapping; Istio goes on with what it had.",
    mend="Correct it.",
)
RULES: Final = (
    FAIL_OPEN,
    TIMEOUT,
    STATUS,
    ROUTE_CACHE,
    PARTIAL_BODY,
    NO_BODY,
    TEXT_BODY,
    BODY_LIMIT,
    NEEDLESS_BODY,
    HTTP_PROVIDER,
    PROVIDER_NAME,
    PROVIDER_UNKNOWN,
    UNREADABLE,
)
