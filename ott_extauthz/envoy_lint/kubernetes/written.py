"""Which headers does a route write into its requests?"""

from collections.abc import Iterator

from ott_extauthz.envoy_lint.kubernetes.part import Part

_VERBS = ("set", "add")

Written = Iterator[tuple[str, Part]]
"""Names in lower case, and where they stand."""


def by_istio(rule: Part) -> Written:
    """Yield what a rule of a VirtualService writes, for all of its destinations or for one."""
    for place in (rule, *rule.at("route")):
        for verb in _VERBS:
            for name, member in place.at("headers", "request", verb).members():
                yield name.lower(), member


def by_gateway(rule: Part) -> Written:
    """Yield what a rule of an HTTPRoute or a GRPCRoute writes, for all of its backends or for one."""
    for one in filters_of(rule):
        for verb in _VERBS:
            for header in one.at("requestHeaderModifier", verb):
                yield header.at("name").text.lower(), header


def filters_of(rule: Part) -> Iterator[Part]:
    """Yield the filters of a rule of Gateway API, its backends' too."""
    for place in (rule, *rule.at("backendRefs")):
        yield from place.at("filters")
