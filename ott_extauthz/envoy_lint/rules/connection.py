"""Is there one reading of the target, and does no client write its own certificate?  The connection manager."""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.chains import Chain
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.rules.guarded import Guarded
from ott_extauthz.envoy_lint.streams import streams_of
from ott_extauthz.envoy_lint.upstreams import ends_of

NORMALIZE_PATH: Final = Rule(
    name="normalize-path",
    severity=Severity.WARNING,
    title="Paths are not normalised",
    why="/public/../admin is two paths to Envoy's routes and to the upstream; the server refuses such calls",
    mend="normalize_path: true",
)
MERGE_SLASHES: Final = Rule(
    name="merge-slashes",
    severity=Severity.WARNING,
    title="Double slashes stay",
    why="//admin is /admin to many upstreams; the server refuses such calls",
    mend="merge_slashes: true",
)
ESCAPED_SLASHES: Final = Rule(
    name="escaped-slashes",
    severity=Severity.WARNING,
    title="Escaped slashes stay",
    why="/a%2fb is /a/b to many upstreams; the server refuses such calls",
    mend="path_with_escaped_slashes_action: REJECT_REQUEST",
)
HOST_DOT: Final = Rule(
    name="host-dot",
    severity=Severity.WARNING,
    title="A dot at the end of a host stays",
    why="api.example. may be another virtual host to Envoy than api.example",
    mend="strip_trailing_host_dot: true",
)
HOST_PORT: Final = Rule(
    name="host-port",
    severity=Severity.WARNING,
    title="The listener's own port stays in the host",
    why="api.example:8443 may be another virtual host to Envoy than api.example",
    mend="strip_matching_host_port: true",
)
UNDERSCORES: Final = Rule(
    name="header-underscores",
    severity=Severity.WARNING,
    title="Headers with underscores pass",
    why="x_ott_subject and x-ott-subject are one variable to CGI-like upstreams; the server refuses what it knows",
    mend="common_http_protocol_options: {headers_with_underscores_action: REJECT_REQUEST}",
)
XFCC_FORGED: Final = Rule(
    name="xfcc-forged",
    severity=Severity.ERROR,
    title="A client can write its own X-Forwarded-Client-Cert",
    why="whoever believes the header, the server or the upstream, takes the client for whom it likes",
    mend="SANITIZE_SET; behind a proxy of yours APPEND_FORWARD with trusted_hops and exact_hops",
)
XFCC_MISSING: Final = Rule(
    name="xfcc-missing",
    severity=Severity.WARNING,
    title="X-Forwarded-Client-Cert lacks the caller's certificate",
    why="client_certificate.source is xfcc: without the caller's element every bound token is refused",
    mend="SANITIZE_SET where this Envoy ends the caller's TLS; APPEND_FORWARD and trusted_hops behind proxies",
)
RULES: Final = (
    NORMALIZE_PATH, MERGE_SLASHES, ESCAPED_SLASHES, HOST_DOT, HOST_PORT, UNDERSCORES, XFCC_FORGED, XFCC_MISSING,
)  # fmt: skip

_MODES: Final = ("SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY")
_ESCAPED: Final = (
    "IMPLEMENTATION_SPECIFIC_DEFAULT", "KEEP_UNCHANGED", "REJECT_REQUEST", "UNESCAPE_AND_REDIRECT",
    "UNESCAPE_AND_FORWARD",
)  # fmt: skip
_UNDERSCORE: Final = ("ALLOW", "REJECT_REQUEST", "DROP_HEADER")
_SWITCHES: Final = (
    (NORMALIZE_PATH, "normalize_path"), (MERGE_SLASHES, "merge_slashes"), (HOST_DOT, "strip_trailing_host_dot"),
)  # fmt: skip


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what the connection manager leaves open; what reaches an internal listener came through another one."""
    if not guarded.chain.is_internal or _is_reached_raw(guarded.chain):
        yield from _target(guarded)
    if not guarded.is_attaching:
        yield from _forwarded(guarded)


def _is_reached_raw(chain: Chain) -> bool:
    """Whether another listener hands its bytes on to this one: then this is the first that reads them as HTTP."""
    ends = (end for stream in streams_of(chain.envoy) for name in stream.clusters for end in ends_of(chain.envoy, name))
    name = chain.listener["name"].text
    return any(end.at("envoy_internal_address", "server_listener_name").text == name for end in ends)


def _target(guarded: Guarded) -> Iterator[Finding]:
    hcm = guarded.chain.hcm
    for rule, key in _SWITCHES:
        if not hcm[key].truth:
            yield hcm[key].breaks(rule, f"{key} is not true")
    action = hcm["path_with_escaped_slashes_action"]
    if action.enum(_ESCAPED) in _ESCAPED[:2]:
        yield action.breaks(ESCAPED_SLASHES, "they are kept")
    if not hcm["strip_matching_host_port"].truth and not hcm["strip_any_host_port"].truth:
        yield hcm["strip_matching_host_port"].breaks(HOST_PORT, "strip_matching_host_port is not true")
    underscores = hcm.at("common_http_protocol_options", "headers_with_underscores_action")
    if underscores.enum(_UNDERSCORE) == "ALLOW":
        yield underscores.breaks(UNDERSCORES, "headers with underscores are allowed")


def _forwarded(guarded: Guarded) -> Iterator[Finding]:
    """The table of envoy/README.md: what each mode does with what a client sent."""
    node, expected = guarded.chain.hcm["forward_client_cert_details"], guarded.expected
    mode, is_read = node.enum(_MODES), expected.certificate_source == "xfcc"
    if mode in ("FORWARD_ONLY", "ALWAYS_FORWARD_ONLY"):
        yield node.breaks(XFCC_FORGED, f"{mode} forwards what the client sent")
    elif not is_read:
        return
    elif mode == "APPEND_FORWARD" and expected.trusted_hops == 0 and not expected.exact_hops:
        yield node.breaks(XFCC_FORGED, "APPEND_FORWARD keeps what the client sent: no trusted_hops, no exact_hops")
    elif mode == "SANITIZE":
        yield node.breaks(XFCC_MISSING, "SANITIZE removes the header")
    elif mode == "SANITIZE_SET" and expected.trusted_hops:
        yield node.breaks(XFCC_MISSING, f"SANITIZE_SET leaves one element, trusted_hops is {expected.trusted_hops}")
