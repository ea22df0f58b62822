"""What is there to be asked for?  Metrics of ours, of Envoy and of the rules, by name, with their labels."""

import re
from functools import cache
from typing import Final

from tests.alerts.rules import recorded, sums
from tests.dashboards.exposed import exposed

ENVOY: Final[dict[str, frozenset[str]]] = {
    **{
        f"envoy_http_ext_authz_{result}": frozenset({"envoy_http_conn_manager_prefix", "envoy_ext_authz_prefix"})
        for result in ("ok", "denied", "error", "invalid", "failure_mode_allowed", "disabled")
    },
    **{
        f"envoy_cluster_upstream_rq_{limit}_overflow": frozenset({"envoy_cluster_name"})
        for limit in ("pending", "active")
    },
}
"""As Envoy names them by itself; tests/e2e/test_alerts.py compares this with a running one."""

OF_ISTIO: Final[dict[str, frozenset[str]]] = {
    **{
        f"envoy_http_inbound_0_0_0_0_8080__ext_authz_{prefix}{result}": frozenset[str]()
        for prefix in ("", "ott_")
        for result in ("ok", "denied", "error", "invalid", "failure_mode_allowed", "disabled")
    },
    **{f"envoy_cluster_upstream_rq_{limit}_overflow": frozenset({"cluster_name"}) for limit in ("pending", "active")},
}
"""As Istio's bootstrap has Envoy name them, without a `stat_prefix` and with the chart's."""

_ADDED: Final = re.compile(r'"(\w+)", "\$\d"')


@cache
def known() -> dict[str, frozenset[str]]:
    """Return every metric by its name, with its labels but those of the target."""
    found = dict(exposed()) | ENVOY
    for name, expression in recorded().items():
        first = next(sums(expression), None)
        added = frozenset(_ADDED.findall(expression))
        found[name] = frozenset(first[1]) if first else added | _of_those_matched(expression)
    return found


def matched(pattern: str) -> set[str]:
    """Return the metrics of a name, or of a pattern of names."""
    return {name for name in [*exposed(), *ENVOY, *recorded()] if re.fullmatch(pattern, name)}


def _of_those_matched(expression: str) -> frozenset[str]:
    (pattern,) = set(re.findall(r'__name__=~"([^"]+)"', expression))
    return frozenset[str]().union(*(ENVOY[name] for name in matched(pattern)))
