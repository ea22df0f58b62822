"""How long can one evaluation take?  An estimate over the tree, in steps of the engine."""

from typing import Final

from cel.expr.syntax_pb2 import Expr

from ott_extauthz.policy.expressions.tree import children, function_of

MAX_COST: Final = 100_000
"""Steps: one loop over a long list with a few comparisons is below, a loop in a loop over two such lists is above."""

_LONG_LIST: Final = 1000
"""How long a list is taken to be that does not stand in the policy itself."""

_LINEAR: Final = dict.fromkeys(("matches", "contains", "startsWith", "endsWith", "@in", "ip", "cidr", "money"), 20)
_GROWS: Final = 200
"""Joining texts or lists inside a loop takes memory too."""


def cost(node: Expr) -> int:
    """Return the estimate for ``node`` and all under it."""
    if node.WhichOneof("expr_kind") != "comprehension_expr":
        return _own(node) + sum(map(cost, children(node)))
    loop = node.comprehension_expr
    elements = loop.iter_range
    rounds = len(elements.list_expr.elements) if elements.WhichOneof("expr_kind") == "list_expr" else _LONG_LIST
    return cost(elements) + cost(loop.result) + rounds * (cost(loop.loop_condition) + cost(loop.loop_step))


def _own(node: Expr) -> int:
    function = function_of(node)
    if function == "_+_":
        # `map` and `filter` join each element to what they have so far, which the engine does in place.
        return 1 if node.call_expr.args[0].ident_expr.name == "@result" else _GROWS
    return _LINEAR.get(function, 1)
