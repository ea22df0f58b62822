"""Do callers of a protected Istio gateway show a certificate, over TLS that holds?"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.catalogue import workloads as rules
from ott_extauthz.envoy_lint.kubernetes.objects import ISTIO_NETWORKING, Object, Objects, selects
from ott_extauthz.envoy_lint.kubernetes.ours import Ours, is_at_a_gateway
from ott_extauthz.envoy_lint.kubernetes.part import Part

_MUTUAL: Final = ("MUTUAL", "ISTIO_MUTUAL")
_PASSED_ON: Final = ("PASSTHROUGH", "AUTO_PASSTHROUGH")
"""What is in such a connection another proxy reads, and asks about."""
_OLD: Final = ("TLSV1_0", "TLSV1_1")


def found_in_gateways(objects: Objects, ours: Ours) -> Iterator[Finding]:
    """Yield what the gateways let callers do without at which a policy of ours stands."""
    at_gateways = [policy for policy in ours.policies if is_at_a_gateway(policy)]
    for gateway in objects.kind("Gateway", ISTIO_NETWORKING):
        if any(_means(policy, gateway) for policy in at_gateways):
            for server in gateway.spec.at("servers"):
                yield from _served(server, gateway.name)


def _means(policy: Object, gateway: Object) -> bool:
    ours, theirs = policy.spec.at("selector", "matchLabels").labels, gateway.spec.at("selector").labels
    return bool(theirs) and (selects(theirs, ours) or selects(ours, theirs))


def _served(server: Part, name: str) -> Iterator[Finding]:
    tls = server.at("tls")
    mode, version = tls.at("mode"), tls.at("minProtocolVersion")
    if version.text in _OLD:
        yield version.finding(rules.GATEWAY_OLD_TLS, f"{name}: {version.text}")
    if tls.at("httpsRedirect").is_true or mode.text in (*_MUTUAL, *_PASSED_ON):
        return
    told = f"tls.mode is {mode.text}" if mode.text else f"{server.at('port', 'protocol').text or 'a port'} without mTLS"
    yield (mode if mode.is_there else server).finding(rules.GATEWAY_NO_CERTIFICATE, f"{name}: {told}")
