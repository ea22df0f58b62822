"""Does a Check reach us, and nobody else?  The cluster that is asked, and Envoy's own version."""

import re
from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.chains import http_options
from ott_extauthz.envoy_lint.configuration import Envoy
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.addresses import is_local, shown
from ott_extauthz.envoy_lint.rules.certificates import contexts_of, is_sent, is_verified
from ott_extauthz.envoy_lint.rules.guarded import Guarded
from ott_extauthz.envoy_lint.rules.order import NOT_JUDGED

MAX_REQUESTS: Final = Rule(
    name="check-max-requests",
    severity=Severity.WARNING,
    title="Envoy refuses Checks beyond 1024 at a time",
    why="the default of the circuit breaker is reached by one slow second, and each request beyond it answers 503",
    mend="circuit_breakers: {thresholds: [{max_requests: 4096, max_pending_requests: 4096}]}",
)
NOT_HTTP2: Final = Rule(
    name="check-not-http2",
    severity=Severity.WARNING,
    title="The Check server is not spoken to over HTTP/2",
    why="gRPC needs it: every Check fails, and with it every request",
    mend="typed_extension_protocol_options: HttpProtocolOptions: explicit_http_config: {http2_protocol_options: {}}",
)
NO_HEALTH_CHECK: Final = Rule(
    name="check-health",
    severity=Severity.NOTE,
    title="Nobody asks whether the Check server can decide",
    why="a worker that drains, or has lost its store, goes on getting Checks",
    mend="health_checks with grpc_health_check: {}, unless the control plane takes such endpoints away",
)
PANIC: Final = Rule(
    name="check-panic",
    severity=Severity.NOTE,
    title="With half of the workers unhealthy Checks go to all of them",
    why="those that said that they cannot decide are asked again; each such request waits and fails",
    mend="common_lb_config: {healthy_panic_threshold: {value: 0}}",
)
PLAINTEXT: Final = Rule(
    name="check-plaintext",
    severity=Severity.WARNING,
    title="Checks leave this host in the clear",
    why="whoever can answer in the server's place decides who gets in, and whoever listens reads unspent tokens",
    mend="mTLS to the server (listen.tls in ott.yaml), a mesh's mTLS, a Unix socket or loopback",
)
UNVERIFIED: Final = Rule(
    name="check-unverified",
    severity=Severity.WARNING,
    title="Envoy does not look at the Check server's certificate",
    why="anybody with any certificate can answer in the server's place",
    mend="validation_context: trusted_ca and match_typed_subject_alt_names",
)
VERSION: Final = Rule(
    name="envoy-version",
    severity=Severity.ERROR,
    title="This Envoy has known holes in front of the Check",
    why="before 1.38.4 and 1.37.6: request smuggling, path confusion, a use-after-free in ext_authz",
    mend="Envoy 1.38.4 or 1.37.6 at least",
)
RULES: Final = (MAX_REQUESTS, NOT_HTTP2, NO_HEALTH_CHECK, PANIC, PLAINTEXT, UNVERIFIED, VERSION)

DEFAULT_MAX_REQUESTS: Final = 1024
FIXED: Final = {(1, 37): (1, 37, 6), (1, 38): (1, 38, 4)}
_OLDEST: Final = (1, 37)
_VERSION: Final = re.compile(r"(?:^|/|v)([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})(?![0-9.])")
_TLS: Final = ".UpstreamTlsContext"
_NAMING: Final = (
    "match_typed_subject_alt_names", "match_subject_alt_names", "verify_certificate_spki", "verify_certificate_hash",
    "custom_validator_config",
)  # fmt: skip
_PLAIN: Final = ("", "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer")


def version_from(text: str) -> tuple[int, int, int] | None:
    """Return the version in ``1.38.4``, ``v1.38.4-dev`` or server_info's ``<hash>/1.40.0/Clean/RELEASE/BoringSSL``."""
    found = _VERSION.search(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def of_envoy(envoy: Envoy, version: str) -> Iterator[Finding]:
    """Yield what is wrong with the process itself."""
    found = version_from(version)
    if found is not None and (found[:2] < _OLDEST or found < FIXED.get(found[:2], found)):
        yield envoy.bootstrap["node"].breaks(VERSION, f"Envoy {'.'.join(map(str, found))}")


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what is wrong with the cluster that is asked."""
    name = guarded.guard.check_cluster
    if not name:
        yield guarded.config["grpc_service"].breaks(NOT_JUDGED, "google_grpc: Envoy has no cluster for the server")
        return
    cluster = guarded.chain.envoy.clusters.get(name)
    if cluster is None:
        yield guarded.config["grpc_service"].breaks(NOT_JUDGED, f"the cluster {name} is not in what was read")
        return
    yield from _capacity(cluster)
    yield from _protocol(cluster)
    if not any(check["grpc_health_check"].is_there for check in cluster["health_checks"]):
        yield cluster["health_checks"].breaks(NO_HEALTH_CHECK, f"{name} has no grpc_health_check")
    panic = cluster.at("common_lb_config", "healthy_panic_threshold")
    if not panic.is_there or (panic.number or 0) > 0:
        yield panic.breaks(PANIC, f"the panic threshold of {name} is {panic.number or 50:g} %")
    yield from _transport(guarded, cluster, name)


def _capacity(cluster: Node) -> Iterator[Finding]:
    thresholds = cluster.at("circuit_breakers", "thresholds")
    usual = [each for each in thresholds if each["priority"].enum(("DEFAULT", "HIGH")) == "DEFAULT"]
    for key in ("max_requests", "max_pending_requests"):
        number = usual[0][key].number if usual else None
        if (DEFAULT_MAX_REQUESTS if number is None else number) <= DEFAULT_MAX_REQUESTS:
            place = usual[0][key] if usual else cluster["circuit_breakers"]
            yield place.breaks(MAX_REQUESTS, f"{key} is {DEFAULT_MAX_REQUESTS if number is None else number:g}")


def _protocol(cluster: Node) -> Iterator[Finding]:
    options = http_options(cluster)
    is_explicit = options.at("explicit_http_config", "http2_protocol_options").is_there
    if not is_explicit and not options["auto_config"].is_there and not cluster["http2_protocol_options"].is_there:
        yield options.breaks(NOT_HTTP2, f"{cluster['name'].text} has no http2_protocol_options")


def _transport(guarded: Guarded, cluster: Node, name: str) -> Iterator[Finding]:
    sockets = [cluster["transport_socket"], *(each["transport_socket"] for each in cluster["transport_socket_matches"])]
    contexts = [socket["typed_config"].typed for socket in sockets if socket.is_there]
    secured = [(kind, context) for kind, context in contexts if kind not in _PLAIN]
    if not secured:
        assigned = guarded.chain.envoy.endpoints.get(name, cluster["load_assignment"])
        ends = [end.at("endpoint", "address") for group in assigned["endpoints"] for end in group["lb_endpoints"]]
        far = [address for address in ends if not is_local(address)]
        if far or not ends:
            place = far[0] if far else cluster["transport_socket"]
            yield place.breaks(
                PLAINTEXT, f"{shown(far[0])} without TLS" if far else f"{name}: without TLS, nobody knows where to"
            )
    for kind, context in secured:
        common = context["common_tls_context"]
        if not common.is_there and not kind.endswith(_TLS):
            continue
        if not is_verified(common):
            yield common["validation_context"].breaks(UNVERIFIED, f"{name} names nobody who vouches for it")
        elif not is_sent(common) and not _names_the_server(context):
            yield common["validation_context"].breaks(UNVERIFIED, f"{name} takes any name that its authority signs")


def _names_the_server(context: Node) -> bool:
    """Whether one certificate alone is good, or the names are looked at."""
    told = [each[key].value for each in contexts_of(context["common_tls_context"]) for key in _NAMING]
    return any(told) or context["auto_sni_san_validation"].truth
