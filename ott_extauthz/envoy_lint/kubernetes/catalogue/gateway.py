"""What must hold of Envoy Gateway's policies?"""

from typing import Final

from ott_extauthz.envoy_lint.finding import Rule, Severity

GATEWAY_FAIL_OPEN: Final = Rule(
    name="gateway-fail-open",
    severity=Severity.ERROR,
    title="The SecurityPolicy fails open.",
    why=(
        "While the server is down, and even while the policy itself is wrong, every request passes with its "
        "unspent token in it."
    ),
    mend="Set failOpen: false, or leave it out.",
)
GATEWAY_TIMEOUT: Final = Rule(
    name="gateway-check-timeout",
    severity=Severity.WARNING,
    title="The SecurityPolicy has no timeout for the Check, or a long one.",
    why="The default is 10 s; the server itself gives up after 1 s.",
    mend="Set extAuth.timeout: 250ms.",
)
GATEWAY_STATUS: Final = Rule(
    name="gateway-status-on-error",
    severity=Severity.NOTE,
    title="The SecurityPolicy has no statusOnError.",
    why=(
        "Without it clients get 403 when the server cannot be asked, as if they had been refused, and error "
        "rates hide the outage."
    ),
    mend="Set extAuth.statusOnError: 503.",
)
GATEWAY_ROUTE_CACHE: Final = Rule(
    name="gateway-recompute-route",
    severity=Severity.WARNING,
    title="The SecurityPolicy chooses the route anew after the Check.",
    why="The request may be routed elsewhere after it was judged.",
    mend="Leave recomputeRoute out.",
)
GATEWAY_HEADERS: Final = Rule(
    name="gateway-headers-limited",
    severity=Severity.ERROR,
    title="The SecurityPolicy keeps request headers from the server.",
    why=(
        "The server cannot remove an identity header that it was not shown, so a client's own x-ott-subject "
        "reaches the upstream."
    ),
    mend="Leave headersToExtAuth out: the server then sees all.",
)
GATEWAY_NO_BODY: Final = Rule(
    name="gateway-body-missing",
    severity=Severity.WARNING,
    title="The policy has routes that judge the body, and the SecurityPolicy sends none.",
    why="Every call of these routes is refused (body_incomplete).",
    mend="Set bodyToExtAuth: {maxRequestBytes: 65536}.",
)
GATEWAY_TEXT_BODY: Final = Rule(
    name="gateway-body-as-text",
    severity=Severity.WARNING,
    title="The policy has routes that verify a signature or digest of the body, and Envoy Gateway sends it as text.",
    why=(
        "Bytes that are no UTF-8 become !, so such a body cannot be verified and is refused "
        "(body_not_binary_safe). Envoy Gateway has no field for it."
    ),
    mend="Set pack_as_bytes: true in with_request_body with an EnvoyPatchPolicy.",
)
GATEWAY_HTTP: Final = Rule(
    name="gateway-http-service",
    severity=Severity.WARNING,
    title="The SecurityPolicy asks the server by HTTP.",
    why="The server speaks Envoy's gRPC protocol only, so every request is refused.",
    mend="Use extAuth.grpc.",
)
GATEWAY_NO_TARGET: Final = Rule(
    name="gateway-no-target",
    severity=Severity.ERROR,
    title="The SecurityPolicy has no target.",
    why="It means no gateway and no route: nothing is checked.",
    mend="Name the Gateway or the routes in targetRefs.",
)
GATEWAY_UNKNOWN_TARGET: Final = Rule(
    name="gateway-unknown-target",
    severity=Severity.WARNING,
    title="The SecurityPolicy names a target that is not there.",
    why="Others of that kind are among the manifests and this one is not: if it is nowhere, nothing is checked.",
    mend="Correct the name, or the namespace: a policy and its target share one.",
)
GATEWAY_OVERRIDDEN: Final = Rule(
    name="gateway-policy-overridden",
    severity=Severity.ERROR,
    title="A route's own SecurityPolicy takes the place of the gateway's.",
    why="The nearer policy counts alone, and this one has no extAuth: the route's requests go unchecked.",
    mend="Repeat extAuth in the route's policy.",
)
GATEWAY_RPC_RETRIES: Final = Rule(
    name="gateway-check-retried",
    severity=Severity.WARNING,
    title="Envoy Gateway retries Checks.",
    why="A Check that spent its token and was answered late is asked once more.",
    mend="Leave retry out of extAuth.grpc.backendSettings.",
)
GATEWAY_MUTATIONS: Final = Rule(
    name="gateway-mutations-not-validated",
    severity=Severity.WARNING,
    title="Nothing makes Envoy validate what the server answers.",
    why=(
        "Envoy Gateway does not set validate_mutations: a line break in a header of an answer would split the "
        "response. The server filters its own headers; that is one guard where there could be two."
    ),
    mend="Set validate_mutations: true with an EnvoyPatchPolicy; the chart has one.",
)
GATEWAY_NO_PEER: Final = Rule(
    name="gateway-no-peer-certificate",
    severity=Severity.WARNING,
    title="The server expects the caller's certificate from Envoy, and Envoy Gateway does not send it.",
    why=(
        "client_certificate.source is peer; without include_peer_certificate every certificate-bound token is "
        "refused (certificate_missing)."
    ),
    mend="Set include_peer_certificate: true with an EnvoyPatchPolicy, or client_certificate.source: xfcc.",
)
GATEWAY_PATHS: Final = Rule(
    name="gateway-path-settings",
    severity=Severity.WARNING,
    title="The ClientTrafficPolicy leaves paths as they come.",
    why=(
        "What is judged and what the upstream reads may differ. The server refuses the paths known to be read "
        "in two ways; that is one guard where there could be two."
    ),
    mend="Set path.escapedSlashesAction: RejectRequest, and leave disableMergeSlashes out.",
)
GATEWAY_UNDERSCORES: Final = Rule(
    name="gateway-underscores",
    severity=Severity.WARNING,
    title="The ClientTrafficPolicy lets header names with an underscore pass.",
    why=(
        "Many servers read x_ott_subject as x-ott-subject. The server refuses such look-alikes; that is one "
        "guard where there could be two."
    ),
    mend="Leave headers.withUnderscoresAction out: the default rejects them.",
)
GATEWAY_OPTIONAL: Final = Rule(
    name="gateway-certificate-optional",
    severity=Severity.WARNING,
    title="The ClientTrafficPolicy lets callers in without a certificate.",
    why="There is nothing that a token could be bound to; routes that ask for a binding refuse such calls.",
    mend="Leave tls.clientValidation.optional out.",
)
GATEWAY_SECOND_WAY: Final = Rule(
    name="gateway-second-way",
    severity=Severity.ERROR,
    title="A second route leads to a backend that is checked elsewhere.",
    why="No SecurityPolicy has the server asked on this way, so a client reaches it, with its own x-ott-subject.",
    mend="Put the route under the SecurityPolicy too; a public path belongs into the server's policy.",
)
RULES: Final = (
    GATEWAY_FAIL_OPEN,
    GATEWAY_TIMEOUT,
    GATEWAY_STATUS,
    GATEWAY_ROUTE_CACHE,
    GATEWAY_HEADERS,
    GATEWAY_NO_BODY,
    GATEWAY_TEXT_BODY,
    GATEWAY_HTTP,
    GATEWAY_NO_TARGET,
    GATEWAY_UNKNOWN_TARGET,
    GATEWAY_OVERRIDDEN,
    GATEWAY_RPC_RETRIES,
    GATEWAY_MUTATIONS,
    GATEWAY_NO_PEER,
    GATEWAY_PATHS,
    GATEWAY_UNDERSCORES,
    GATEWAY_OPTIONAL,
    GATEWAY_SECOND_WAY,
)
