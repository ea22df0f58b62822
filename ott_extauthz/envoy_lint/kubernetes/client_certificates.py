"""Does the caller's certificate reach our server as its ``client_certificate`` setting expects it?

X-Forwarded-Client-Cert counts only where the server reads it; what it reads is not known without its configuration.
"""

from collections.abc import Iterator

from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.catalogue import certificates as rules
from ott_extauthz.envoy_lint.kubernetes.gateway_targets import protected_gateways, targets_of
from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.objects import ENVOY_GATEWAY, Objects
from ott_extauthz.envoy_lint.kubernetes.ours import Ours, is_at_a_gateway
from ott_extauthz.envoy_lint.kubernetes.part import Part
from ott_extauthz.envoy_lint.kubernetes.patches import FORGEABLE


def found_in_certificates(objects: Objects, mesh: Mesh, ours: Ours, expected: Expectations) -> Iterator[Finding]:
    """Yield where the header is forged, missing or longer than expected."""
    if expected.is_told and expected.certificate_source != "xfcc":
        return
    for proxy in mesh.proxies:
        topology = proxy.at("gatewayTopology", "forwardClientCertDetails")
        yield from _mode(topology, expected, at_the_edge=True)
        yield from _mode(proxy.at("proxyHeaders", "forwardedClientCert"), expected, at_the_edge=False)
    yield from _hops(mesh, ours, expected)
    if ours.gateway_policies:
        yield from _gateways(objects, ours, expected)


def _gateways(objects: Objects, ours: Ours, expected: Expectations) -> Iterator[Finding]:
    protected = protected_gateways(objects, ours.gateway_policies)
    for one in objects.kind("ClientTrafficPolicy", ENVOY_GATEWAY):
        if protected is not None and not any(target.name in protected for target in targets_of(one)):
            continue
        mode = one.spec.at("headers", "xForwardedClientCert", "mode")
        if mode.is_there:
            yield from _mode(mode, expected, at_the_edge=True)
        elif expected.is_told:
            yield mode.finding(rules.XFCC_REMOVED, f"{one.name} does not say, and the default is Sanitize")


def _mode(mode: Part, expected: Expectations, *, at_the_edge: bool) -> Iterator[Finding]:
    word = _word(mode.text)
    if word in FORGEABLE:
        yield mode.finding(rules.XFCC_FORGED, f"the mode is {mode.text}")
    elif not expected.is_told:
        return
    elif word == "SANITIZE":
        yield mode.finding(rules.XFCC_REMOVED, f"the mode is {mode.text}")
    elif word == "APPEND_FORWARD" and at_the_edge and not expected.exact_hops:
        yield mode.finding(rules.XFCC_APPENDED, f"the mode is {mode.text}, and exact_hops is false")


def _hops(mesh: Mesh, ours: Ours, expected: Expectations) -> Iterator[Finding]:
    modes = {
        mode.text for proxy in mesh.proxies if (mode := proxy.at("gatewayTopology", "forwardClientCertDetails")).text
    }
    if not (expected.is_told and expected.trusted_hops and mesh.is_known and modes <= {"UNDEFINED", "SANITIZE_SET"}):
        return
    for policy in ours.policies:
        if is_at_a_gateway(policy):
            hops = f"{expected.trusted_hops} more element{'s' * (expected.trusted_hops > 1)} than the caller's own"
            yield policy.finding(rules.XFCC_HOPS, f"{policy.name} stands at the gateway, and the server expects {hops}")


def _word(mode: str) -> str:
    """Return Envoy's word for Envoy Gateway's: ``AppendForward`` is APPEND_FORWARD."""
    if mode.isupper():
        return mode
    return "".join(f"_{letter}" if letter.isupper() else letter.upper() for letter in mode).lstrip("_")
