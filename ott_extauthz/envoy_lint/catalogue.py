"""Which rules are there?  All of them, by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ott_extauthz.envoy_lint import kubernetes
from ott_extauthz.envoy_lint.finding import Rule
from ott_extauthz.envoy_lint.rules import (
    asking,
    body,
    bypasses,
    connection,
    logs,
    messages,
    order,
    routing,
    server,
    verified,
)

ENVOY_RULES: Final = (
    *bypasses.RULES, *order.RULES, *asking.RULES, *messages.RULES, *body.RULES, *connection.RULES, *routing.RULES,
    *verified.RULES, *logs.RULES, *server.RULES,
)  # fmt: skip
RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.name: rule for rule in (*ENVOY_RULES, *kubernetes.RULES)})
