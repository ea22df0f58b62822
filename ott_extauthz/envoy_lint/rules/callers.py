"""Who says where a caller is, and may a caller tell Envoy what to do with its call?

Envoy obeys ``x-envoy-retry-on`` and its kin, which have the router send a call again, only of callers that count as
internal.  Which they are is a question of addresses, and an address may be a header's word.
"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.branches import Branch
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.guarded import Guarded
from ott_extauthz.envoy_lint.rules.retrying import obeyed

REMOTE_ADDRESS: Final = Rule(
    name="use-remote-address",
    severity=Severity.WARNING,
    title="The caller's address is taken from a header",
    why="a client writes X-Forwarded-For, and with it an address that cidr, asn or region would let pass",
    mend="use_remote_address: true; behind another proxy with xff_num_trusted_hops",
)
ADDRESS_TOLD: Final = Rule(
    name="caller-address-told",
    severity=Severity.NOTE,
    title="Somebody in front says where callers are",
    why="whoever can connect here past that proxy writes the address that cidr or asn would let pass",
    mend="as many trusted hops as there are proxies of yours, and no way to this port but through them",
)
INTERNAL_CALLERS: Final = Rule(
    name="internal-callers",
    severity=Severity.ERROR,
    title="Callers may have Envoy repeat their calls",
    why="of internal addresses Envoy obeys x-envoy-retry-on and hedges: one Check, one token spent, several deliveries",
    mend="no internal_address_config, or request_headers_to_remove: [x-envoy-retry-on, x-envoy-retry-grpc-on, "
    "x-envoy-hedge-on-per-try-timeout] in the route configuration; where a route has retries of its own, also "
    "x-envoy-max-retries, x-envoy-retriable-status-codes, x-envoy-retriable-header-names",
)
RULES: Final = (REMOTE_ADDRESS, ADDRESS_TOLD, INTERNAL_CALLERS)

_DETECTION: Final = "envoy.extensions.http.original_ip_detection."
_PROXY_PROTOCOL: Final = "envoy.extensions.filters.listener.proxy_protocol."


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield who is believed about callers, where it matters; where only the workload calls, nobody is asked."""
    if guarded.is_attaching:
        return
    if not guarded.chain.is_internal and guarded.expected.may_judge_addresses:
        yield from _address(guarded)
    yield from _internal(guarded)


def _address(guarded: Guarded) -> Iterator[Finding]:
    hcm = guarded.chain.hcm
    detections = [each["typed_config"].typed for each in hcm["original_ip_detection_extensions"]]
    headers = [config["header_name"] for kind, config in detections if kind.startswith(f"{_DETECTION}custom_header.")]
    for header in headers:
        yield header.breaks(REMOTE_ADDRESS, f"the header {header.text or '?'} says where a caller is")
    if not detections and not hcm["use_remote_address"].truth:
        yield hcm["use_remote_address"].breaks(REMOTE_ADDRESS, "use_remote_address is not true")
    yield from _told(guarded, [config for kind, config in detections if kind.startswith(f"{_DETECTION}xff.")])


def _told(guarded: Guarded, detections: list[Node]) -> Iterator[Finding]:
    hops = guarded.chain.hcm["xff_num_trusted_hops"]
    if hops.number and guarded.chain.hcm["use_remote_address"].truth:
        yield hops.breaks(ADDRESS_TOLD, f"the address is number {hops.number:g} of X-Forwarded-For, from the right")
    for config in detections:
        yield config.breaks(ADDRESS_TOLD, "the address is one of X-Forwarded-For")
    for each in guarded.chain.listener["listener_filters"]:
        if each["typed_config"].typed[0].startswith(_PROXY_PROTOCOL):
            yield each.breaks(ADDRESS_TOLD, "the address is what the PROXY protocol says")


def _internal(guarded: Guarded) -> Iterator[Finding]:
    internal = guarded.chain.hcm["internal_address_config"]
    if not internal["cidr_ranges"].value and not internal["unix_sockets"].truth:
        return
    for branch, served in guarded.inbound:
        if guarded.may_be_single_use(served) and not branch.is_answered_here and _obeys(guarded, branch):
            yield internal.breaks(INTERNAL_CALLERS, "internal_address_config names callers")
            return


def _obeys(guarded: Guarded, branch: Branch) -> bool:
    """Whether the router still finds a header that counts; what a route takes off is gone before it looks."""
    removed = {header.text.lower() for level in branch.levels for header in level["request_headers_to_remove"]}
    return not obeyed(guarded, branch).issubset(removed)
