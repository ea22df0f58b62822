"""Do Istio's policies send every request past our server, and does what comes back arrive as it was meant?"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.catalogue import policies as rules
from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.objects import ISTIO_SECURITY, Object, Objects, selects
from ott_extauthz.envoy_lint.kubernetes.ours import Ours, is_at_a_gateway, selected_by
from ott_extauthz.envoy_lint.kubernetes.part import Part
from ott_extauthz.envoy_lint.kubernetes.patches import switched_on

_SOURCES: Final = ("namespaces", "serviceAccounts", "trustDomains", "principals", "requestPrincipals")
_FORBIDDEN_SOURCES: Final = frozenset({*_SOURCES, *(f"not{name[0].upper()}{name[1:]}" for name in _SOURCES)})
_FORBIDDEN_KEYS: Final = ("source.namespace", "source.serviceAccount", "source.trustDomain", "source.principal")
_EVERYTHING: Final = frozenset({"*", "/*"})
_FAR_ENOUGH: Final = "DECODE_AND_MERGE_SLASHES"


def found_in_policies(objects: Objects, mesh: Mesh, ours: Ours, expected: Expectations) -> Iterator[Finding]:
    """Yield what is wrong with the policies that ask our server."""
    for policy in ours.policies:
        yield from _rules(policy)
        yield from _chosen_by_client(policy)
        if _means_everything(policy) and _reaches_us(policy, mesh, ours):
            yield policy.finding(rules.LOOP, f"{policy.name} selects the server's own workload")
        allowing = [one for one in objects.kind("AuthorizationPolicy", ISTIO_SECURITY) if _is_beside(one, policy, mesh)]
        if allowing and not any(_means_everything(one) or _rules_of(one) == _rules_of(policy) for one in allowing):
            yield policy.finding(rules.NO_ALLOW, f"no ALLOW policy means what {policy.name} means")
        yield from _paths(policy, mesh)
        yield from _not_patched(policy, objects, mesh, expected)


def _rules(policy: Object) -> Iterator[Finding]:
    listed = policy.spec.at("rules")
    if not list(listed):
        yield listed.finding(rules.NO_RULES, f"{policy.name} has no rules")
    for rule in listed:
        for source in rule.at("from"):
            for name in (part.path[-1] for _, part in source.at("source").members()):
                if name in _FORBIDDEN_SOURCES:
                    yield source.at("source", str(name)).finding(rules.FORBIDDEN, f"{policy.name}: {name}")
        for condition in rule.at("when"):
            key = condition.at("key")
            if key.text.startswith("request.auth.") or key.text in _FORBIDDEN_KEYS:
                yield key.finding(rules.FORBIDDEN, f"{policy.name}: {key.text}")


def _chosen_by_client(policy: Object) -> Iterator[Finding]:
    """Yield what a client need not write; a gateway has routes for the hosts that it lets in, a workload has none."""
    for rule in policy.spec.at("rules"):
        for condition in rule.at("when"):
            if condition.at("key").text.startswith("request.headers["):
                told = f"{policy.name}: {condition.at('key').text}"
                yield condition.at("key").finding(rules.CLIENT_CHOOSES, told)
        for operation in rule.at("to"):
            for name in ("hosts", "notHosts"):
                part = operation.at("operation", name)
                if part.texts and "*" not in part.texts and not is_at_a_gateway(policy):
                    yield part.finding(rules.CLIENT_CHOOSES, f"{policy.name}: {name}")


def _means_everything(policy: Object) -> bool:
    return any(isinstance(rule.value, dict) and not any(rule.value.values()) for rule in policy.spec.at("rules"))


def _reaches_us(policy: Object, mesh: Mesh, ours: Ours) -> bool:
    if selected_by(policy, mesh, ours.workloads()):
        return True
    is_narrowed = any(policy.spec.at(name).is_there for name in ("selector", "targetRef", "targetRefs"))
    return policy.namespace == mesh.root_namespace and not is_narrowed


def _is_beside(one: Object, policy: Object, mesh: Mesh) -> bool:
    """Whether an ALLOW policy counts where this one does; as soon as one does, it denies whatever none allows."""
    if one.spec.at("action").text not in ("", "ALLOW") or one.namespace not in (policy.namespace, mesh.root_namespace):
        return False
    targets = one.spec.at("targetRefs")
    if targets.is_there:
        return bool(targets.value == policy.spec.at("targetRefs").value)
    mine, theirs = (each.spec.at("selector", "matchLabels").labels for each in (one, policy))
    return selects(mine, theirs)


def _rules_of(policy: Object) -> object:
    return policy.spec.at("rules").value


def _paths(policy: Object, mesh: Mesh) -> Iterator[Finding]:
    narrowing = [
        part for rule in policy.spec.at("rules") for operation in rule.at("to") for part in _narrowing(operation)
    ]
    for config in mesh.configs:
        normalization = config.at("pathNormalization", "normalization")
        if narrowing and normalization.text != _FAR_ENOUGH:
            told = normalization.text or "BASE, the default"
            yield narrowing[0].finding(rules.PATH_ESCAPES, f"{policy.name} selects by path; normalization is {told}")
        elif normalization.text == "NONE":
            yield normalization.finding(rules.PATH_RAW, "normalization is NONE")


def _narrowing(operation: Part) -> Iterator[Part]:
    for name in ("paths", "notPaths"):
        part = operation.at("operation", name)
        if part.texts and not {*part.texts} <= _EVERYTHING:
            yield part


def _not_patched(policy: Object, objects: Objects, mesh: Mesh, expected: Expectations) -> Iterator[Finding]:
    on = switched_on(objects, policy, mesh)
    if "validate_mutations" not in on:
        yield policy.finding(rules.MUTATIONS, f"no EnvoyFilter sets validate_mutations for {policy.name}")
    if "encode_raw_headers" not in on:
        yield policy.finding(rules.MERGED, f"no EnvoyFilter sets encode_raw_headers for {policy.name}")
    if expected.is_told and expected.certificate_source == "peer" and "include_peer_certificate" not in on:
        yield policy.finding(rules.NO_PEER, f"no EnvoyFilter sets include_peer_certificate for {policy.name}")
