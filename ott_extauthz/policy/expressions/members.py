"""Which members of a map does a condition read?  Only these are converted, where they all stand in the policy."""

from cel.expr.syntax_pb2 import Expr

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
