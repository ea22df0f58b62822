"""What must hold of the header that carries the caller's certificate?"""

from typing import Final

from ott_extauthz.envoy_lint.finding import Rule, Severity

XFCC_FORGED: Final = Rule(
    name="xfcc-forgeable",
    severity=Severity.ERROR,
    title="Envoy passes on the X-Forwarded-Client-Cert that clients send.",
    why=(
        "With FORWARD_ONLY and ALWAYS_FORWARD_ONLY a client writes its own certificate: a stolen token is "
        "presented with the certificate that it is bound to."
    ),
    mend="Set SANITIZE_SET where callers' TLS ends, APPEND_FORWARD behind a proxy of yours.",
)
XFCC_REMOVED: Final = Rule(
    name="xfcc-removed",
    severity=Severity.WARNING,
    title="Envoy removes X-Forwarded-Client-Cert, and the server reads the caller's certificate from it.",
    why="Every certificate-bound token is refused (certificate_missing).",
    mend="Set SANITIZE_SET where callers' TLS ends, APPEND_FORWARD behind a proxy of yours.",
)
XFCC_APPENDED: Final = Rule(
    name="xfcc-appended-at-the-edge",
    severity=Severity.WARNING,
    title="The gateway appends to the X-Forwarded-Client-Cert that clients send.",
    why=(
        "The server counts from the right and is not deceived by elements in front; but names with a comma in "
        "a certificate can look like elements of their own."
    ),
    mend="Set SANITIZE_SET at the gateway, or client_certificate.exact_hops: true.",
)
XFCC_HOPS: Final = Rule(
    name="xfcc-too-many-hops",
    severity=Severity.WARNING,
    title="The server expects certificates of proxies that are not there.",
    why=(
        "The policy stands at the gateway, which sets one element, and client_certificate.trusted_hops asks "
        "for more: every certificate-bound token is refused (certificate_hop_untrusted)."
    ),
    mend="Set client_certificate.trusted_hops: 0 for the server that the gateway asks.",
)
RULES: Final = (
    XFCC_FORGED,
    XFCC_REMOVED,
    XFCC_APPENDED,
    XFCC_HOPS,
)
