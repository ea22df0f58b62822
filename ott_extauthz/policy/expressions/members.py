"""Which members of a map does a condition read?  Only these are converted, where they all stand in the policy.

A member of a body that differs from one of them in case only is an error: Go and .NET take either for it, so that
``Amount`` beside ``amount`` would be what the upstream reads, and alone would be what ``has()`` does not see.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from cel.expr.syntax_pb2 import Expr

from ott_extauthz.policy.expressions.faults import ValueFault
from ott_extauthz.policy.expressions.tree import Tree, children, function_of, text_of


def members_read(tree: Tree, name: str) -> frozenset[str] | None:
    """Return the members of the variable ``name`` that are read; None where it may be any of them, or all."""
    found: set[str] = set()
    parents = {part.id: node for node in tree.nodes() for part in children(node)}
    for node in tree.nodes():
        if tree.name_of(node) == name:
            member = _member(parents.get(node.id), node)
            if member is None:
                return None
            found.add(member)
    return frozenset(found)


def _member(parent: Expr | None, node: Expr) -> str | None:
    """Return the member for ``node.x``, ``has(node.x)``, ``node["x"]`` and ``"x" in node``."""
    if parent is None:
        return None
    if parent.WhichOneof("expr_kind") == "select_expr":
        return str(parent.select_expr.field)
    arguments = list(parent.call_expr.args)
    if function_of(parent) == "_[_]" and arguments[0].id == node.id:
        return text_of(arguments[1])
    if function_of(parent) == "@in" and arguments[1].id == node.id:
        return text_of(arguments[0])
    return None


def names_read(tree: Tree) -> dict[str, frozenset[str]]:
    """Return the name of every member that a condition reads, of whatever; in one case, with its spellings."""
    found: dict[str, frozenset[str]] = {}
    for name in filter(None, map(_name, tree.nodes())):
        folded = name.casefold()
        found[folded] = found.get(folded, frozenset()) | {name}
    return found


def refuse_twins(value: Any, names: Mapping[str, frozenset[str]]) -> None:  # noqa: ANN401 - JSON
    """Refuse JSON with a member that differs from one of ``names`` in case only.

    Raises:
        ValueFault: there is one, at whatever depth.
    """
    for member in _members_below(value):
        if member not in names.get(member.casefold(), {member}):
            raise ValueFault("request.json has a member that the condition reads in another case")


def _members_below(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _name(node: Expr) -> str | None:
    """Return the name in ``x.name``, ``has(x.name)``, ``x["name"]`` and ``"name" in x``."""
    if node.WhichOneof("expr_kind") == "select_expr":
        return str(node.select_expr.field)
    place = {"_[_]": 1, "@in": 0}.get(function_of(node))
    return None if place is None else text_of(node.call_expr.args[place])
