"""Which calls does a route of Envoy's send again by itself?"""

from collections.abc import Iterator
from typing import Final

from ott_extauthz.envoy_lint.branches import Branch
from ott_extauthz.envoy_lint.chains import http_options
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.guarded import Guarded

_SURELY_UNSENT: Final = frozenset({"connect-failure", "refused-stream", "reset-before-request"})
"""Conditions under which the upstream has seen nothing of the request."""

REPEATING: Final = frozenset({"x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-hedge-on-per-try-timeout"})
_WIDENING: Final = frozenset({
    "x-envoy-max-retries", "x-envoy-retriable-status-codes", "x-envoy-retriable-header-names",
})  # fmt: skip
"""What turns few, or rare, retries of a route's own into many; without any they do nothing."""


def obeyed(guarded: Guarded, branch: Branch) -> frozenset[str]:
    """Return the headers of a request that have a call sent again here."""
    return REPEATING | _WIDENING if unsafe_reasons(retry_policy(guarded, branch)) else REPEATING


def retry_policy(guarded: Guarded, branch: Branch) -> Node | None:
    """Return the retry policy of a route; the most specific one counts."""
    for place in (branch.route["route"], branch.virtual_host, *options_behind(guarded, branch)):
        policy = (
            place["retry_policy"] if place["retry_policy"].is_there else place["retry_policy_typed_config"].typed[1]
        )
        if policy.is_there:
            return policy
    return None


def unsafe_reasons(policy: Node | None) -> list[str]:
    """Return the conditions of a retry policy under which what is sent again may have arrived."""
    words = [] if policy is None else [word.strip() for word in policy["retry_on"].text.split(",")]
    return [word for word in words if word and word not in _SURELY_UNSENT]


def options_behind(guarded: Guarded, branch: Branch) -> Iterator[Node]:
    """The HTTP options of the clusters behind a route, which have retries and mirrors of their own."""
    for name in branch.clusters:
        cluster = guarded.chain.envoy.clusters.get(name)
        if cluster is not None:
            yield http_options(cluster)
