"""What do patches do to Envoy's own configuration?  Istio's EnvoyFilter, Envoy Gateway's EnvoyPatchPolicy."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding, Rule
from ott_extauthz.envoy_lint.kubernetes.catalogue import certificates, traffic
from ott_extauthz.envoy_lint.kubernetes.gateway_targets import may_meet
from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.objects import ENVOY_GATEWAY, ISTIO_NETWORKING, Object, Objects, selects
from ott_extauthz.envoy_lint.kubernetes.part import Part, snake_case

EXT_AUTHZ: Final = "ext_authz"
FORGEABLE: Final = frozenset({"FORWARD_ONLY", "ALWAYS_FORWARD_ONLY"})
_REPEATING: Final = frozenset({"retry_policy", "internal_redirect_policy", "request_mirror_policies"})
_GUARDS: Final[Mapping[str, object]] = {
    "validate_mutations": False,
    "encode_raw_headers": False,
    "normalize_path": False,
    "merge_slashes": False,
    "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
    "headers_with_underscores_action": "ALLOW",
}
_WHOLE: Final = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


@dataclass(frozen=True, slots=True)
class Setting:
    """One field that a patch sets, and in a message of which type, as far as the patch says."""

    name: str
    part: Part
    type: str

    @property
    def may_be_ext_authz(self) -> bool:
        """Whether it may be a field of the filter: its type says so, or says nothing."""
        return not self.type or EXT_AUTHZ in self.type


def switched_on(objects: Objects, policy: Object, mesh: Mesh) -> set[str]:
    """Return the fields that EnvoyFilters set to true in ext_authz, for all that an Istio policy means."""
    patches = (one for one in objects.kind("EnvoyFilter", ISTIO_NETWORKING) if _covers(one, policy, mesh))
    return {setting.name for one in patches for setting in _settings(one) if _is_on(setting)}


def set_at_gateways(objects: Objects, policy: Object) -> dict[str, object]:
    """Return the fields that EnvoyPatchPolicies set in ext_authz, and to what, where a SecurityPolicy may mean."""
    patches = objects.kind("EnvoyPatchPolicy", ENVOY_GATEWAY)
    meant = (one for one in patches if may_meet(objects, policy, one.namespace))
    found = (setting for one in meant for setting in _settings(one) if setting.may_be_ext_authz)
    return {setting.name: setting.part.value for setting in found}


def found_in_patches(objects: Objects, expected: Expectations) -> Iterator[Finding]:
    """Yield what patches break."""
    repeats_matter = any(route.is_single_use for route in expected.routes)
    for one in (*objects.kind("EnvoyFilter", ISTIO_NETWORKING), *objects.kind("EnvoyPatchPolicy", ENVOY_GATEWAY)):
        yield from (
            removed.finding(traffic.PATCH_DISABLED, f"{one.name} removes ext_authz") for removed in _removals(one)
        )
        for setting in _settings(one):
            rule = _broken(setting) or (_repeating(setting) if repeats_matter else None)
            if rule is not None:
                yield setting.part.finding(rule, f"{one.name} sets {setting.name}")


def _is_on(setting: Setting) -> bool:
    return setting.part.is_true and setting.may_be_ext_authz


def _broken(setting: Setting) -> Rule | None:
    name, value = setting.name, setting.part.value
    if name == "forward_client_cert_details" and value in FORGEABLE:
        return certificates.XFCC_FORGED
    if name in _GUARDS and value == _GUARDS[name] and type(value) is type(_GUARDS[name]):
        return traffic.PATCH_GUARD
    if name == "clear_route_cache" and value is True:
        return traffic.PATCH_ROUTE_CACHE
    if name == "upgrade_configs" and any(_has_filters_of_its_own(each) for each in setting.part):
        return traffic.PATCH_DISABLED
    return _of_the_filter(setting) if setting.may_be_ext_authz else None


def _of_the_filter(setting: Setting) -> Rule | None:
    is_true = setting.part.is_true
    is_typed = EXT_AUTHZ in setting.type
    if setting.name == "failure_mode_allow" and is_true:
        return traffic.PATCH_FAIL_OPEN
    if setting.name == "shadow_mode" and is_true:
        return traffic.PATCH_SHADOW
    if setting.name in ("allowed_headers", "disallowed_headers") and is_typed and setting.part.value:
        return traffic.PATCH_HEADERS
    if is_typed and _switches_off(setting):
        return traffic.PATCH_DISABLED
    return traffic.PATCH_REPEATS if setting.name == "retry_policy" and is_typed else None


def _has_filters_of_its_own(upgrade: Part) -> bool:
    """Whether an upgrade goes through filters among which ext_authz is not."""
    names = [each.at("name").text for each in upgrade.at("filters")]
    return bool(names) and not any(EXT_AUTHZ in name for name in names)


def _switches_off(setting: Setting) -> bool:
    if setting.name == "check_settings":  # another server is asked
        return setting.part.at("grpc_service").is_there or setting.part.at("http_service").is_there
    if setting.name == "filter_enabled":
        share = setting.part.at("default_value")
        whole = _WHOLE.get(share.at("denominator").text or "HUNDRED", 100)
        return share.is_there and (share.at("numerator").number or 0) < whole
    return (setting.name == "disabled" and setting.part.is_true) or setting.name == "filter_enabled_metadata"


def _repeating(setting: Setting) -> Rule | None:
    return traffic.PATCH_REPEATS if setting.name in _REPEATING and setting.part.value else None


def _settings(one: Object) -> Iterator[Setting]:
    for patch in one.spec.at("configPatches"):
        yield from _typed(patch.at("patch", "value"), "")
    for patch in one.spec.at("jsonPatches"):
        operation = patch.at("operation")
        steps = [step for step in operation.at("path").text.split("/") if step and not step.isdecimal() and step != "-"]
        if operation.at("value").is_there and steps:
            yield Setting(snake_case(steps[-1]), operation.at("value"), "")
        yield from _typed(operation.at("value"), "")


def _typed(part: Part, outer: str) -> Iterator[Setting]:
    kind = part.at("@type").text or outer
    for name, member in part.members():
        yield Setting(name, member, kind)
        yield from _typed(member, kind)
    for item in part:
        yield from _typed(item, kind)


def _removals(one: Object) -> Iterator[Part]:
    for patch in one.spec.at("configPatches"):
        name = patch.at("match", "listener", "filterChain", "filter", "subFilter", "name").text
        if patch.at("patch", "operation").text == "REMOVE" and EXT_AUTHZ in name:
            yield patch
    for patch in one.spec.at("jsonPatches"):
        operation = patch.at("operation")
        where = operation.at("path").text + operation.at("jsonPath").text
        if operation.at("op").text == "remove" and EXT_AUTHZ in where:
            yield patch


def _covers(one: Object, policy: Object, mesh: Mesh) -> bool:
    if one.namespace not in (policy.namespace, mesh.root_namespace):
        return False
    targets = one.spec.at("targetRefs")
    if targets.is_there:
        return bool(targets.value == policy.spec.at("targetRefs").value)
    return selects(one.spec.at("workloadSelector", "labels").labels, policy.spec.at("selector", "matchLabels").labels)
