"""What must a condition not say, though CEL allows it?  Checked at load; the first breach refuses the policy.

- An amount, an address and a range are compared and nothing else: no other operation knows that they are not texts.
- Patterns, time zones and literals of our functions are right at load, not at the first request.
- The time of one evaluation is bounded by what is written, not only by the engine's own limit on loops.
"""

from collections.abc import Callable, Iterator
from typing import Final

from cel.expr.syntax_pb2 import Expr

from ott_extauthz.policy.expressions import addresses, local_time, money
from ott_extauthz.policy.expressions.cost import MAX_COST, cost
from ott_extauthz.policy.expressions.environment import ORDER, environment
from ott_extauthz.policy.expressions.faults import ExpressionError, ValueFault
from ott_extauthz.policy.expressions.tree import Tree, children, function_of, text_of
from ott_extauthz.policy.expressions.variables import GROUPS

_EQUALITY: Final = ("_==_", "_!=_")
_ONLY: Final = {
    "amount": "an amount can only be compared with another amount",
    "ip": "an address can only be compared, or looked for: ip(x) in cidr(y)",
    "list(ip)": "a range is only asked for an address: ip(x) in cidr(y)",
}
_PROBES: Final = {
    "matches": "request.method.matches(token.sub)",
    "timestamp": "timestamp(token.sub) == timestamp(token.sub)",
    "duration": "duration(token.sub) == duration(token.sub)",
}


def check(tree: Tree) -> None:
    """Refuse what must not be said.

    Raises:
        ExpressionError: the first breach, at its place.
    """
    parents = {part.id: node for node in tree.nodes() for part in children(node)}
    for node in tree.nodes():
        for complaint in _complaints(tree, node, parents.get(node.id)):
            raise ExpressionError(complaint, *tree.place_of(node))
    if tree.type_of(tree.root) != "bool":
        message = "the result must be true or false"
        if tree.type_of(tree.root) == "dyn":
            message += "; of a value of open type, write: … == true"
        raise ExpressionError(message, *tree.place_of(tree.root))
    if cost(tree.root) > MAX_COST:
        raise ExpressionError("can run too long: loops in loops, or much work in one", *tree.place_of(tree.root))


def _complaints(tree: Tree, node: Expr, parent: Expr | None) -> Iterator[str]:
    kind = node.WhichOneof("expr_kind")
    if kind == "const_expr" and node.const_expr.WhichOneof("constant_kind") == "bytes_value":
        yield "bytes have no use here; write a text"
    elif kind == "struct_expr" and node.struct_expr.message_name:
        yield "messages have no use here"
    elif kind == "comprehension_expr":
        yield from _loop_variables(node)
    elif kind == "call_expr":
        yield from _call(tree, node)
    if (reason := _ONLY.get(tree.type_of(node))) and not _is_compared(tree, node, parent):
        yield reason
    if function_of(node) == "local_time" and not _is_field_of_time(parent):
        yield f"write local_time(zone).field with one of: {', '.join(local_time.FIELDS)}"


def _loop_variables(node: Expr) -> Iterator[str]:
    for name in (node.comprehension_expr.iter_var, node.comprehension_expr.iter_var2):
        if name in {*GROUPS, "has"}:
            yield f"{name!r} is taken; give the loop's variable another name"


def _is_compared(tree: Tree, node: Expr, parent: Expr | None) -> bool:
    if parent is None:
        return False
    function, kind = function_of(parent), tree.type_of(node)
    types = [tree.type_of(part) for part in children(parent)]
    if kind == "amount":
        return function in ORDER or (function == "_?_:_" and tree.type_of(parent) == "amount")
    if kind == "ip":
        return (function in _EQUALITY and types == ["ip", "ip"]) or types == ["ip", "list(ip)"]
    return function == "@in" and types[0] == "ip" and function_of(node) == "cidr"


def _is_field_of_time(parent: Expr | None) -> bool:
    if parent is None or parent.WhichOneof("expr_kind") != "select_expr":
        return False
    return parent.select_expr.field in local_time.FIELDS and not parent.select_expr.test_only


def _call(tree: Tree, node: Expr) -> Iterator[str]:
    function, arguments = function_of(node), list(node.call_expr.args)
    if function == "bytes":
        yield "bytes have no use here"
    elif function == "double" and tree.type_of(arguments[0]) not in ("int", "uint", "double"):
        yield "a text may be NaN, which is neither above nor below anything; use int() or money()"
    elif function == "matches" and text_of(arguments[-1]) is None:
        yield "a pattern must stand in the policy, not in a request"
    elif any(overload.endswith("_with_tz") for overload in tree.overloads_of(node)):
        yield "write local_time(zone).hour, whose zone is checked at load"
    elif function == "local_time" and text_of(arguments[0]) is None:
        yield "a time zone must stand in the policy, not in a request"
    elif function == "cidr" and tree.type_of(arguments[0]) not in ("string", "dyn", "list(string)"):
        yield "the ranges must be texts, or one of the lists that are known to hold texts only"
    else:
        yield from _literals(function, [text_of(argument) for argument in arguments])


def _literals(function: str, literals: list[str | None]) -> Iterator[str]:
    first = literals[-1] if function in _PROBES else literals[0] if literals else None
    if first is not None and function in _PROBES and not _is_read(_PROBES[function], first):
        yield f"{function}() cannot read this text"
    tests: dict[str, Callable[[str], object]] = {
        "ip": addresses.address_from,
        "cidr": addresses.network_from,
        "local_time": local_time.zone_from,
    }
    try:
        if first is not None and function in tests:
            tests[function](first)
        if function == "money" and literals[1] is not None:
            money.money_from("0" if first is None else first, literals[1])
    except ValueFault as fault:
        yield fault.message


def _is_read(probe: str, literal: str) -> bool:
    result = environment().compile(probe).eval(data={"request.method": "", "token.sub": literal})
    return bool(result.type().name() != "ERROR")
