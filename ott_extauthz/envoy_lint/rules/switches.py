"""Is every request asked about?  What switches the filter off, for some requests or for all."""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.guarded import Guarded

SHADOW_MODE: Final = Rule(
    name="shadow-mode",
    severity=Severity.ERROR,
    title="The filter is in shadow mode",
    why="every Check is made and spends its token, and every request passes, refused or not",
    mend="shadow_mode: false; to try a policy out, use mode: shadow on its routes",
)
FILTER_ENABLED: Final = Rule(
    name="filter-enabled",
    severity=Severity.ERROR,
    title="Only a part of the requests is checked",
    why="the rest passes without a Check",
    mend="no filter_enabled, or deny_at_disable with default_value true",
)
FILTER_SWITCH: Final = Rule(
    name="filter-switch",
    severity=Severity.WARNING,
    title="The filter can be switched off by runtime",
    why="whoever may set the runtime key lets every request pass",
    mend="deny_at_disable: {default_value: {value: true}, runtime_key: ...}, so that switching off closes the door",
)
FILTER_METADATA: Final = Rule(
    name="filter-enabled-metadata",
    severity=Severity.NOTE,
    title="Another filter chooses which requests are checked",
    why="what it does not mark passes without a Check; Istio works this way for AuthorizationPolicy CUSTOM",
    mend="see that the marking filter takes in every path that has to be checked",
)
OPTIONAL: Final = Rule(
    name="filter-optional",
    severity=Severity.WARNING,
    title="An Envoy that does not know the filter goes on without it",
    why="a build without ext_authz takes the configuration all the same, and every request passes",
    mend="no is_optional",
)
CONDITIONAL: Final = Rule(
    name="filter-matcher",
    severity=Severity.ERROR,
    title="A matcher chooses which requests the filter sees",
    why="a request that it skips passes without a Check",
    mend="no matcher around ext_authz; give public routes to the policy (credential: public)",
)
RULES: Final = (SHADOW_MODE, FILTER_ENABLED, FILTER_SWITCH, FILTER_METADATA, OPTIONAL, CONDITIONAL)

_MATCHER_PER_ROUTE: Final = "envoy.extensions.common.matching.v3.ExtensionWithMatcherPerRoute"
_RBAC: Final = "envoy.filters.http.rbac"
_RBAC_TYPE: Final = "envoy.extensions.filters.http.rbac"
_DENOMINATORS: Final = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}


def findings(guarded: Guarded) -> Iterator[Finding]:
    """Yield what lets requests pass that the filter would be asked about."""
    config, entry = guarded.config, guarded.guard.entry
    yield from _switches(guarded)
    if config["shadow_mode"].truth:
        yield config["shadow_mode"].breaks(SHADOW_MODE, "shadow_mode is true")
    if entry["is_optional"].truth:
        yield entry["is_optional"].breaks(OPTIONAL, "is_optional is true")
    yield from _conditions(guarded)


def _switches(guarded: Guarded) -> Iterator[Finding]:
    config, enabled, runtime = guarded.config, guarded.config["filter_enabled"], guarded.chain.envoy.runtime
    closing = config["deny_at_disable"]
    is_closed = (runtime(closing["runtime_key"].text) or closing["default_value"]).truth
    if enabled.is_there and not is_closed:
        share = runtime(enabled["runtime_key"].text) or enabled["default_value"]
        numerator = share.number if share["numerator"].number is None else share["numerator"].number
        whole = _DENOMINATORS.get(share["denominator"].enum(tuple(_DENOMINATORS)), 100)
        if (numerator or 0) < whole:
            yield enabled.breaks(FILTER_ENABLED, f"{numerator or 0:g} of {whole} requests are checked")
        elif enabled["runtime_key"].text:
            yield enabled.breaks(FILTER_SWITCH, f"the runtime key {enabled['runtime_key'].text} switches it off")
    marked = config["filter_enabled_metadata"]
    if marked.is_there and (is_closed or _is_marked_by_istio(guarded, marked)):
        yield marked.breaks(FILTER_METADATA, "filter_enabled_metadata is set")
    elif marked.is_there:
        told = f"only what has the metadata of {marked['filter'].text or '?'} is checked"
        yield marked.breaks(FILTER_ENABLED, told)


def _is_marked_by_istio(guarded: Guarded, marked: Node) -> bool:
    """Whether an rbac filter before ours marks what the policies mean; without one nothing is ever checked."""
    before = guarded.chain.filters[: guarded.chain.filters.index(guarded.guard)]
    return marked["filter"].text == _RBAC and any(each.type.startswith(f"{_RBAC_TYPE}.") for each in before)


def _conditions(guarded: Guarded) -> Iterator[Finding]:
    """Yield the matchers around the filter: the chain's own, and what routes put in its place."""
    if guarded.guard.matcher.is_there:
        yield guarded.guard.matcher.breaks(CONDITIONAL, "ext_authz runs behind a matcher")
    for branch, _ in guarded.checked:
        for setting in branch.settings(guarded.guard.name):
            if setting.type == _MATCHER_PER_ROUTE:
                yield setting.entry.breaks(CONDITIONAL, "a matcher says which requests are checked here")
