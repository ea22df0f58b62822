"""Which patches take something away?  Guards set to a weaker value, filters removed, replaced or moved."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from ott_extauthz.envoy_lint.finding import Finding
from ott_extauthz.envoy_lint.kubernetes.catalogue import traffic
from ott_extauthz.envoy_lint.kubernetes.istio_providers import LONGEST_TIMEOUT_SECONDS
from ott_extauthz.envoy_lint.kubernetes.objects import Object
from ott_extauthz.envoy_lint.kubernetes.part import Part
from ott_extauthz.envoy_lint.kubernetes.patched import EXT_AUTHZ, Setting

_WEAKER: Final[Mapping[str, tuple[object, ...]]] = {
    "validate_mutations": (False,),
    "encode_raw_headers": (False,),
    "normalize_path": (False,),
    "merge_slashes": (False,),
    "strip_trailing_host_dot": (False,),
    "use_remote_address": (False,),
    "require_client_certificate": (False,),
    "allow_expired_certificate": (True,),
    "allow_chunked_length": (True,),
    "trust_chain_verification": ("ACCEPT_UNTRUSTED", 1),
    "path_with_escaped_slashes_action": ("KEEP_UNCHANGED", "IMPLEMENTATION_SPECIFIC_DEFAULT", 0, 1),
    "headers_with_underscores_action": ("ALLOW", 0),
}
_WEAKER_IN_THE_FILTER: Final[Mapping[str, tuple[object, ...]]] = {
    "include_peer_certificate": (False,),
    "allow_partial_message": (True,),
    "pack_as_bytes": (False,),
    "disallow_all": (False,),
    "disallow_is_error": (False,),
}
_MARKING: Final = "envoy.filters.http.rbac"
"""Istio's filter that marks the requests which ext_authz is to ask about."""
_BY_NUMBER: Final = re.compile(r"(?:^|/)http_?filters/(?:[0-9]+|-)\Z", re.IGNORECASE)


def removes_guard(setting: Setting) -> bool:
    """Whether a setting is one that guards, at a value with which it does not."""
    weaker = _WEAKER.get(setting.name, ())
    if setting.may_be_ext_authz:
        weaker += _WEAKER_IN_THE_FILTER.get(setting.name, ())
    value = setting.part.value
    if any(value == one and type(value) is type(one) for one in weaker):
        return True
    if setting.name.startswith("shadow_rules") and "rbac" in setting.type.lower() and setting.operation == "MERGE":
        return True
    if setting.name != "timeout" or not setting.is_ext_authz:
        return False
    seconds = setting.part.seconds
    return seconds is None or not 0 < seconds <= LONGEST_TIMEOUT_SECONDS


def sets_aside(one: Object) -> Iterator[Finding]:
    """Yield the patches that take a filter away, or put another in its place."""
    for patch in one.spec.at("configPatches"):
        yield from _by_istio(patch, one.name)
    for patch in one.spec.at("jsonPatches"):
        yield from _by_pointer(patch, one.name)


def _by_pointer(patch: Part, name: str) -> Iterator[Finding]:
    operation = patch.at("operation")
    kind, path = operation.at("op").text, operation.at("path").text.strip("/")
    moved = operation.at("from").text.strip("/") or path
    if kind in ("remove", "replace") and EXT_AUTHZ in (path or operation.at("jsonPath").text):
        rule = traffic.PATCH_DISABLED if kind == "remove" else traffic.PATCH_REPLACED
        yield patch.finding(rule, f"{name}: {kind} of ext_authz")
    elif kind in ("remove", "replace", "move") and _BY_NUMBER.search(moved):
        yield patch.finding(traffic.PATCH_UNCLEAR, f"{name}: {kind} of {moved}")


def _by_istio(patch: Part, name: str) -> Iterator[Finding]:
    filter_name = patch.at("match", "listener", "filterChain", "filter", "subFilter", "name").text
    operation, value = patch.at("patch", "operation").text, patch.at("patch", "value")
    if operation == "REMOVE" and EXT_AUTHZ in filter_name:
        yield patch.finding(traffic.PATCH_DISABLED, f"{name} removes ext_authz")
    elif operation in ("REMOVE", "REPLACE") and filter_name == _MARKING:
        told = f"{name} takes away what marks the requests to ask about"
        yield patch.finding(traffic.PATCH_DISABLED, told)
    elif operation == "REPLACE" and EXT_AUTHZ in filter_name:
        kept = EXT_AUTHZ in value.at("typed_config", "@type").text + value.at("typed_config", "type_url").text
        rule = traffic.PATCH_REPLACED if kept else traffic.PATCH_DISABLED
        yield patch.finding(rule, f"{name} replaces ext_authz")
