"""Which rules are there?  All of them, by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ott_extauthz.envoy_lint import kubernetes
from ott_extauthz.envoy_lint.finding import Rule
from ott_extauthz.envoy_lint.rules import (
    admin,
    answers,
    asking,
    body,
    bypasses,
    callers,
    cancelling,
    certificates,
    connection,
    logs,
    messages,
    order,
    routing,
    server,
    switches,
    tunnels,
    verified,
)

ENVOY_RULES: Final = (
    *bypasses.RULES, *order.RULES, *asking.RULES, *switches.RULES, *answers.RULES, *messages.RULES, *body.RULES,
    *connection.RULES,
    *callers.RULES, *certificates.RULES, *routing.RULES, *tunnels.RULES, *verified.RULES, *logs.RULES, *server.RULES,
    *cancelling.RULES, *admin.RULES,
)  # fmt: skip
RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.name: rule for rule in (*ENVOY_RULES, *kubernetes.RULES)})
