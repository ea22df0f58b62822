"""What must hold of Istio's policies and of the patches that they need?"""

from typing import Final

from ott_extauthz.envoy_lint.finding import Rule, Severity

NO_RULES: Final = Rule(
    name="istio-custom-no-rules",
    severity=Severity.ERROR,
    title="The CUSTOM policy has no rules.",
    why="A policy without rules means no request: nothing is checked.",
    mend="Set rules: [{}] to mean every request.",
)
FORBIDDEN: Final = Rule(
    name="istio-custom-forbidden-field",
    severity=Severity.ERROR,
    title="The CUSTOM policy has a field that such policies may not have.",
    why="Istio refuses the policy, so its requests go unchecked.",
    mend=(
        "Leave out identities of the caller (principals, namespaces, request.auth and their like); the "
        "server's policy judges them."
    ),
)
LOOP: Final = Rule(
    name="istio-custom-loop",
    severity=Severity.WARNING,
    title="The CUSTOM policy means the server's own workload too.",
    why="Each Check needs a Check before it may arrive, and none ever does: every call is refused.",
    mend="Give the policy a selector, or the server a namespace that it does not mean.",
)
NO_ALLOW: Final = Rule(
    name="istio-no-allow",
    severity=Severity.NOTE,
    title="ALLOW policies stand beside the CUSTOM policy, and none allows all that it means.",
    why=(
        "Only a refusal of ours is final: ALLOW policies are still asked afterwards, and where there is one, even an "
        "empty one, what none of them allows is denied."
    ),
    mend="Add an ALLOW policy with the same selector and the same rules.",
)
PATH_ESCAPES: Final = Rule(
    name="istio-path-escapes",
    severity=Severity.ERROR,
    title="The CUSTOM policy selects by path, and the mesh does not normalise paths far enough.",
    why="//admin or /admin%2f is another path to Istio and the same to many servers: such a request goes unchecked.",
    mend="Set meshConfig.pathNormalization.normalization: DECODE_AND_MERGE_SLASHES, or rules: [{}].",
)
PATH_RAW: Final = Rule(
    name="istio-path-not-normalised",
    severity=Severity.WARNING,
    title="The mesh does not normalise paths.",
    why=(
        "What is judged and what the upstream reads may differ. The server refuses the paths known to be read "
        "in two ways; that is one guard where there could be two."
    ),
    mend="Set meshConfig.pathNormalization.normalization: DECODE_AND_MERGE_SLASHES.",
)
MUTATIONS: Final = Rule(
    name="istio-mutations-not-validated",
    severity=Severity.WARNING,
    title="Nothing makes Envoy validate what the server answers.",
    why=(
        "Istio does not set validate_mutations: a line break in a header of an answer would split the "
        "response. The server filters its own headers; that is one guard where there could be two."
    ),
    mend="Merge validate_mutations: true into ext_authz with an EnvoyFilter; the chart has one.",
)
MERGED: Final = Rule(
    name="istio-headers-merged",
    severity=Severity.NOTE,
    title="Headers reach the server merged.",
    why=(
        "Istio does not set encode_raw_headers: repeated headers come joined by commas, cookies too, and "
        "bytes that are no UTF-8 come as !. Such requests are refused."
    ),
    mend="Merge encode_raw_headers: true into ext_authz with an EnvoyFilter; the chart has one.",
)
NO_PEER: Final = Rule(
    name="istio-no-peer-certificate",
    severity=Severity.WARNING,
    title="The server expects the caller's certificate from Envoy, and Istio does not send it.",
    why=(
        "client_certificate.source is peer; without include_peer_certificate every certificate-bound token is "
        "refused (certificate_missing)."
    ),
    mend=(
        "Merge include_peer_certificate: true into ext_authz with an EnvoyFilter, or set "
        "client_certificate.source: xfcc."
    ),
)
CLIENT_CHOOSES: Final = Rule(
    name="istio-custom-client-chooses",
    severity=Severity.ERROR,
    title="The CUSTOM policy means only requests with a header that the client writes.",
    why=(
        "Whoever leaves the header out, or writes another host than the workload's, is not checked and reaches the "
        "workload all the same."
    ),
    mend="Select by path and method, or set rules: [{}]; by host at a gateway alone.",
)
RULES: Final = (
    NO_RULES,
    FORBIDDEN,
    LOOP,
    NO_ALLOW,
    PATH_ESCAPES,
    PATH_RAW,
    MUTATIONS,
    MERGED,
    NO_PEER,
    CLIENT_CHOOSES,
)
