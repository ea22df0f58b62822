"""How do the comparisons of amounts, addresses and ranges reach the code that knows what they are?"""

from typing import Final

from cel.expr.syntax_pb2 import Expr

from ott_extauthz.policy.expressions.environment import ORDER
from ott_extauthz.policy.expressions.tree import Tree, children, function_of

LOCAL_TIME: Final = "@local_time"
"""Begins the name of a variable that holds one field of a local time: ``@local_time hour Europe/Berlin``."""


def rewrite(tree: Tree) -> None:
    """Name our functions in a checked tree that keeps :mod:`.rules`."""
    for node in list(tree.nodes()):
        _rewrite(tree, node, [tree.type_of(part) for part in children(node)])


def _rewrite(tree: Tree, node: Expr, types: list[str]) -> None:
    function = function_of(node)
    if function in ORDER and "amount" in types:
        tree.rename(node, ORDER[function][0])
    elif function == "@in" and types[0] == "ip":
        tree.rename(node, "@ip_in")
    elif function == "ip":
        tree.rename(node, "@ip")
    elif function == "cidr":
        tree.rename(node, "@cidrs" if types[0] == "list(string)" else "@cidr")
    elif node.WhichOneof("expr_kind") == "select_expr" and function_of(node.select_expr.operand) == "local_time":
        zone = node.select_expr.operand.call_expr.args[0].const_expr.string_value
        tree.become_variable(node, f"{LOCAL_TIME} {node.select_expr.field} {zone}")
