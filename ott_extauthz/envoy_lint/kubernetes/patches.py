"""What do patches do to Envoy's own configuration, and to the filter that asks us?"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding, Rule
from ott_extauthz.envoy_lint.kubernetes.catalogue import certificates, traffic
from ott_extauthz.envoy_lint.kubernetes.gateway_targets import may_meet
from ott_extauthz.envoy_lint.kubernetes.mesh import Mesh
from ott_extauthz.envoy_lint.kubernetes.objects import ENVOY_GATEWAY, ISTIO_NETWORKING, Object, Objects
from ott_extauthz.envoy_lint.kubernetes.ours import Ours
from ott_extauthz.envoy_lint.kubernetes.part import Part
from ott_extauthz.envoy_lint.kubernetes.patched import EXT_AUTHZ, Setting, covers, may_touch, settings_of
from ott_extauthz.envoy_lint.kubernetes.weaker import removes_guard, sets_aside
from ott_extauthz.envoy_lint.rules.retrying import REPEATING
from ott_extauthz.model.facts import is_ours

FORGEABLE: Final = frozenset({"FORWARD_ONLY", "ALWAYS_FORWARD_ONLY", 1, 4})
_SANITIZE: Final = ("SANITIZE", 0)
_REPEATING: Final = frozenset({
    "retry_policy", "retry_policy_typed_config", "hedge_policy", "internal_redirect_policy", "request_mirror_policies",
})  # fmt: skip


def switched_on(objects: Objects, policy: Object, mesh: Mesh) -> set[str]:
    """Return the fields that EnvoyFilters set to true in ext_authz, for all that an Istio policy means."""
    patches = (one for one in objects.kind("EnvoyFilter", ISTIO_NETWORKING) if covers(one, policy, mesh))
    return {setting.name for one in patches for setting in settings_of(one) if _is_on(setting)}


def set_at_gateways(objects: Objects, policy: Object) -> dict[str, object]:
    """Return the fields that EnvoyPatchPolicies set in ext_authz, and to what, where a SecurityPolicy may mean."""
    patches = objects.kind("EnvoyPatchPolicy", ENVOY_GATEWAY)
    meant = (one for one in patches if may_meet(objects, policy, one.namespace))
    found = (setting for one in meant for setting in settings_of(one) if setting.may_be_ext_authz)
    return {setting.name: setting.part.value for setting in found}


def patches_among(objects: Objects, mesh: Mesh, ours: Ours) -> Iterator[Object]:
    """Yield the patches that may mean something of ours; where no policy is shown, all of them."""
    for one in objects.kind("EnvoyFilter", ISTIO_NETWORKING):
        if not ours.policies or any(may_touch(one, policy, mesh) for policy in ours.policies):
            yield one
    yield from objects.kind("EnvoyPatchPolicy", ENVOY_GATEWAY)


def found_in_patches(objects: Objects, mesh: Mesh, ours: Ours, expected: Expectations) -> Iterator[Finding]:
    """Yield what patches break."""
    repeats_matter = any(route.is_single_use for route in expected.routes)
    for one in patches_among(objects, mesh, ours):
        yield from sets_aside(one)
        for setting in settings_of(one):
            rule = _broken(setting, expected) or (_repeating(setting) if repeats_matter else None)
            if rule is not None:
                yield setting.part.finding(rule, f"{one.name} sets {setting.name}")


def _is_on(setting: Setting) -> bool:
    return setting.part.is_true and setting.may_be_ext_authz


def _broken(setting: Setting, expected: Expectations) -> Rule | None:
    name, part = setting.name, setting.part
    if name == "forward_client_cert_details":
        return _forwarded(part.value, expected)
    if name == "internal_address_config":
        return traffic.INTERNAL if part.at("cidr_ranges").value or part.at("unix_sockets").is_true else None
    if name == "request_headers_to_add":
        return traffic.IDENTITY if any(map(is_ours, _added(part))) else None
    if name == "clear_route_cache" and part.is_true:
        return traffic.PATCH_ROUTE_CACHE
    if name == "upgrade_configs" and any(map(_opens, part)):
        return traffic.PATCH_DISABLED
    return _of_the_filter(setting) or (traffic.PATCH_GUARD if removes_guard(setting) else None)


def _forwarded(mode: object, expected: Expectations) -> Rule | None:
    if isinstance(mode, (str, int)) and not isinstance(mode, bool):
        if mode in FORGEABLE:
            return certificates.XFCC_FORGED
        if mode in _SANITIZE and expected.is_told and expected.certificate_source == "xfcc":
            return certificates.XFCC_REMOVED
    return None


def _of_the_filter(setting: Setting) -> Rule | None:
    if not setting.may_be_ext_authz:
        return None
    if setting.name == "failure_mode_allow" and setting.part.is_true:
        return traffic.PATCH_FAIL_OPEN
    if setting.name == "shadow_mode" and setting.part.is_true:
        return traffic.PATCH_SHADOW
    if not setting.is_ext_authz:
        return None
    if setting.name in ("allowed_headers", "disallowed_headers") and setting.part.value:
        return traffic.PATCH_HEADERS
    if _switches_off(setting):
        return traffic.PATCH_DISABLED
    return traffic.PATCH_REPEATS if setting.name == "retry_policy" else None


def _opens(upgrade: Part) -> bool:
    """Whether an upgrade goes through filters among which ext_authz is not, or hands on bare bytes."""
    names = [each.at("name").text for each in upgrade.at("filters")]
    is_past = bool(names) and not any(EXT_AUTHZ in name for name in names)
    is_tunnel = upgrade.at("upgrade_type").text.lower() == "h2c" or upgrade.at("connect_config").is_there
    return is_past or is_tunnel


_WHOLE: Final = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


def _switches_off(setting: Setting) -> bool:
    if setting.name == "check_settings":  # another server is asked
        return setting.part.at("grpc_service").is_there or setting.part.at("http_service").is_there
    if setting.name == "filter_enabled":
        share = setting.part.at("default_value")
        whole = _WHOLE.get(share.at("denominator").text or "HUNDRED", 100)
        return share.is_there and (share.at("numerator").number or 0) < whole
    if setting.name == "http_service" and setting.operation == "MERGE":  # and what speaks HTTP is not us
        return setting.part.is_there
    return (setting.name == "disabled" and setting.part.is_true) or setting.name == "filter_enabled_metadata"


def _repeating(setting: Setting) -> Rule | None:
    asks = setting.name == "request_headers_to_add" and not REPEATING.isdisjoint(_added(setting.part))
    repeats = setting.name in _REPEATING and setting.part.value
    return traffic.PATCH_REPEATS if asks or repeats else None


def _added(part: Part) -> list[str]:
    return [each.at("header", "key").text.lower() for each in part]
