"""Does Envoy's word on a token reach us, and is it nobody's but jwt_authn's?  Routes with ``verified_by: envoy``."""

import re
from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.chains import Filter
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import strings_in
from ott_extauthz.envoy_lint.rules.guarded import Guarded

UNTOLD: Final = Rule(
    name="verified-payload-missing",
    severity=Severity.WARNING,
    title="What Envoy verified does not reach the server",
    why="a route of the policy has verified_by: envoy: without it every token is refused (verified_payload_missing)",
    mend="jwt_authn before ext_authz and metadata_context_namespaces, both as in envoy/jwt-authn.yaml",
)
FORGEABLE: Final = Rule(
    name="verified-payload-forgeable",
    severity=Severity.ERROR,
    title="Another filter writes where jwt_authn says what it verified",
    why="whoever writes there signs tokens: with header_to_metadata that is the client",
    mend="no other filter with the namespace of envoy_payload",
)
RULES: Final = (UNTOLD, FORGEABLE)

_JWT_NAMESPACE: Final = "envoy.filters.http.jwt_authn"
_LUA: Final = "envoy.extensions.filters.http.lua."
_JWT: Final = "envoy.extensions.filters.http.jwt_authn."
_WRITERS: Final = tuple(
    f"envoy.extensions.filters.http.{kind}."
    for kind in ("header_to_metadata", "json_to_metadata", "thrift_to_metadata", "set_metadata", "ext_proc")
)


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what keeps Envoy's word from us, or lets another speak in its name."""
    if not any(route.is_verified_by_envoy for _, served in guarded.inbound for route in served):
        return
    filters, namespace = guarded.chain.filters, guarded.expected.payload_namespace
    before = filters[: filters.index(guarded.guard)]
    handed_on = guarded.config["metadata_context_namespaces"]
    if namespace not in [each.text for each in handed_on]:
        yield handed_on.breaks(UNTOLD, f"ext_authz does not hand on {namespace}")
    is_shown = namespace == _JWT_NAMESPACE and not any(each.is_unseen for each in before)
    if is_shown and not any(_says(guarded, each) for each in before):
        yield guarded.guard.entry.breaks(UNTOLD, "no provider of a jwt_authn before it leaves payload and header there")
    for each in before:
        if _writes(each, namespace):
            yield each.entry.breaks(FORGEABLE, f"{each.name} writes {namespace}")


def _writes(each: Filter, namespace: str) -> bool:
    texts = [text for _, text in strings_in(each.config)]
    if each.type.startswith(_LUA):
        setting = re.compile(rf":\s*set\s*\(\s*['\"]{re.escape(namespace)}['\"]")
        return any(setting.search(text) for text in texts)
    return each.type.startswith(_WRITERS) and namespace in texts


def _says(guarded: Guarded, each: Filter) -> bool:
    """Whether a filter leaves the token where it is, and what it verified where we look."""
    payload, header = guarded.expected.payload_key, guarded.expected.header_key
    return each.type.startswith(_JWT) and any(
        provider["forward"].truth
        and provider["payload_in_metadata"].text == payload
        and provider["header_in_metadata"].text == header
        for _, provider in each.config["providers"].entries
    )
