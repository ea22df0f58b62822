"""The listeners of the rig: the shipped one first, then one for each way an operator's Envoy may differ from it."""

from collections.abc import Callable
from typing import Final

from tests.e2e.gateway import CROWDED, FILTER, Listener, Tree, authz_of, hcm_of, jwt_authn, named_route, route, traced

_UNNORMALISED: Final[Tree] = {
    "normalize_path": False,
    "merge_slashes": False,
    "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
    "strip_trailing_host_dot": False,
    "strip_matching_host_port": False,
    "use_remote_address": False,
    "common_http_protocol_options": {"headers_with_underscores_action": "ALLOW"},
}
"""An Envoy that repairs nothing: what the server must refuse on its own."""

XFCC_MODES: Final = ("SANITIZE", "SANITIZE_SET", "APPEND_FORWARD", "FORWARD_ONLY", "ALWAYS_FORWARD_ONLY")
SWITCH: Final = "ott.enabled"
NO_PEER: Final[Tree] = {"include_peer_certificate": False}


def _without(*names: str) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        for name in names:
            authz_of(tree).pop(name)

    return change


def _internal(tree: Tree) -> None:
    """Callers' network counts as the operator's own, and may tell Envoy to retry."""
    hcm_of(tree)["internal_address_config"] = {"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]}


def _second_filter(tree: Tree) -> None:
    filters = hcm_of(tree)["http_filters"]
    filters.insert(1, {"name": "second", "typed_config": authz_of(tree)})


def _websocket(tree: Tree) -> None:
    hcm_of(tree)["upgrade_configs"] = [{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}]


def _verify(tree: Tree) -> None:
    """Put `jwt_authn` before ext_authz, covering all but one path."""
    verifying, namespaces = jwt_authn()
    authz_of(tree)["metadata_context_namespaces"] = namespaces
    config = verifying["typed_config"]
    config["providers"]["issuer"]["local_jwks"] = {"filename": "jwks.json"}  # beside Envoy's own configuration
    config["rules"].insert(0, {"match": {"path": "/v1/verified/uncovered"}})
    hcm_of(tree)["http_filters"].insert(0, verifying)


_WHOLE: Final[Tree] = {"set_current_client_cert_details": {"uri": True, "cert": True}}
"""A proxy that forwards the caller's certificate itself."""


def _verify_anywhere(tree: Tree) -> None:
    """The same, by an operator who does not name the header: Envoy looks where it always does."""
    _verify(tree)
    del hcm_of(tree)["http_filters"][0]["typed_config"]["providers"]["issuer"]["from_headers"]


LISTENERS: Final = (
    Listener("shipped"),
    Listener("bare", hcm=_UNNORMALISED, tls="optional"),
    Listener("merged", hcm=_UNNORMALISED, authz={"encode_raw_headers": False}, tls="optional"),
    Listener("string-body", authz={"with_request_body": {"max_request_bytes": 65536}}),
    Listener("partial-body", authz={"with_request_body": {"max_request_bytes": 64, "allow_partial_message": True}}),
    Listener("allowed-headers", authz={"allowed_headers": {"patterns": [{"exact": "x-ott"}]}}),
    Listener("unvalidated", change=_without("validate_mutations", "decoder_header_mutation_rules")),
    Listener("no-peer", authz=NO_PEER),
    Listener("two-filters", change=_second_filter),
    Listener(
        "internal",
        change=_internal,
        routes=(
            route("/v1/wallets/unretried", retry_policy={"retry_on": "5xx", "num_retries": 0}),
            route(
                "/v1/wallets/retried",
                retry_policy={"retry_on": "retriable-status-codes", "retriable_status_codes": [502]},
            ),
            route("/v1/wallets/watched", retry_policy={"retry_on": "retriable-headers"}),
        ),
    ),
    Listener("websocket", change=_websocket),
    Listener("jwt-authn", change=_verify),
    Listener("jwt-authn-anywhere", change=_verify_anywhere),
    Listener("shadow", authz={"shadow_mode": True}),
    Listener(
        "routes",
        routes=(
            named_route("/v1/wallets/named", "wallet-debit"),
            named_route("/v1/wallets/unknown", "no-such-route"),
            named_route("/v1/wallets/mismatch", "ledger-entry"),
            route("/v1/wallets/open", per_route={"disabled": True}),
            route("/v1/wallets/unbuffered", per_route={"check_settings": {"disable_request_body_buffering": True}}),
            route("/v1/wallets/retried", retry_policy={"retry_on": "5xx", "num_retries": 3}),
            route(
                "/v1/wallets/redirected",
                internal_redirect_policy={"max_internal_redirects": 2, "redirect_response_codes": [302]},
            ),
            route("/grpc.wallet.v1.Wallet", cluster="grpc-service"),
        ),
    ),
    # X-Forwarded-Client-Cert in each of Envoy's modes, judged by the connection's certificate ...
    *(Listener(f"peer-{mode}", hcm={"forward_client_cert_details": mode}) for mode in XFCC_MODES),
    # ... and by the header, with the connection's certificate beside it, and without.
    *(Listener(f"xfcc-{mode}", hcm={"forward_client_cert_details": mode}, cluster="xfcc") for mode in XFCC_MODES),
    *(
        Listener(f"xfcc-only-{mode}", hcm={"forward_client_cert_details": mode}, authz=NO_PEER, cluster="xfcc")
        for mode in XFCC_MODES
    ),
    *(
        Listener(f"plain-{mode}", hcm={"forward_client_cert_details": mode}, authz=NO_PEER, tls="none", cluster="xfcc")
        for mode in XFCC_MODES
    ),
    # An edge proxy in front: one listener forwards to another over HTTP/2 and mTLS.
    Listener("edge", change=lambda tree: _forward(tree, "behind")),
    Listener("behind", pipe=True),
    Listener("edge-hops", change=lambda tree: _forward(tree, "behind-hops")),
    Listener("behind-hops", pipe=True, hcm={"forward_client_cert_details": "APPEND_FORWARD"}, cluster="hops"),
    Listener("edge-whole", hcm=_WHOLE, change=lambda tree: _forward(tree, "behind-hops")),
    # ... and what that server says when there is no edge proxy.
    *(
        Listener(f"hops-{mode}", hcm={"forward_client_cert_details": mode}, cluster="hops")
        for mode in ("SANITIZE_SET", "APPEND_FORWARD")
    ),
    # Envoy traces, and says so to the Check server; the second has several workers where the store is shared.
    Listener("traced", change=traced),
    Listener("traced-xfcc", change=traced, cluster="xfcc"),
    # The Check server that tests take down; one listener waits for it no longer than an operator's would.
    Listener("victim", cluster="victim"),
    Listener("hasty", authz={"grpc_service": {"envoy_grpc": {"cluster_name": "victim"}, "timeout": "0.25s"}}),
    Listener(
        "fail-open",
        cluster="victim",
        authz={
            "failure_mode_allow": True,
            "failure_mode_allow_header_add": True,
        },
    ),
    # What Envoy alone can tell of: more Checks than it may send, a switch, an answer that it refuses, too little time.
    Listener("crowded", cluster=CROWDED),
    Listener("switched", authz={"filter_enabled": {"default_value": {"numerator": 100}, "runtime_key": SWITCH}}),
    Listener("unlisted", authz={"decoder_header_mutation_rules": {"disallow_all": True, "disallow_is_error": True}}),
    Listener("rushed", authz={"grpc_service": {"envoy_grpc": {"cluster_name": "victim"}, "timeout": "0.02s"}}),
)


def _forward(tree: Tree, cluster: str) -> None:
    """Make a listener a proxy that asks nobody and forwards to another listener."""
    hcm = hcm_of(tree)
    hcm["http_filters"] = [one for one in hcm["http_filters"] if one["name"] != FILTER]
    hcm["route_config"]["virtual_hosts"][0]["routes"] = [route("/", cluster=cluster)]
