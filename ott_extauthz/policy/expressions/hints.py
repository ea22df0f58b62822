"""What compiles, and may still answer other than its author thinks?

- ``a || b`` is true as soon as one side is, even when the other cannot be read; under a negation ``&&`` does the same.
  For ``deny_when`` the two change places.  So a field that may be absent is asked for with ``has()``.
- A bare number beside an amount is read in the amount's currency; whose number it is, nobody has asked.
- Arithmetic on doubles is rounded and may give NaN, which is neither above nor below anything.
- ``!=`` is true for every value of another type.
"""

from collections.abc import Iterator
from typing import Final

from cel.expr.syntax_pb2 import Expr

from ott_extauthz.policy.expressions.environment import ORDER
from ott_extauthz.policy.expressions.faults import Hint
from ott_extauthz.policy.expressions.tree import Tree, children, function_of, text_of
from ott_extauthz.policy.expressions.variables import HAS, VARIABLES

_AND, _OR = "_&&_", "_||_"
_ARITHMETIC: Final = ("_+_", "_-_", "_*_", "_/_")


def hints(tree: Tree, *, denies: bool) -> tuple[Hint, ...]:
    """Return what ``policy check`` should show, in the order of the text; before the tree is rewritten."""
    found = [Hint(message, *tree.place_of(node)) for node in tree.nodes() for message in _values(tree, node)]
    guarded = {path for node in tree.nodes() for path in _guards(tree, node)}
    for node, paths in _absorbing(tree, tree.root, _AND if denies else _OR):
        unguarded = [path for path in paths if path not in guarded]
        if unguarded:
            found.append(Hint(_absorbed(function_of(node), unguarded), *tree.place_of(node)))
    return tuple(sorted(found, key=lambda hint: (hint.line, hint.column)))


def _absorbed(function: str, paths: list[str]) -> str:
    word, symbol = ("true", "||") if function == _OR else ("false", "&&")
    names = ", ".join(dict.fromkeys(paths))
    return f"{symbol} is {word} as soon as one side is, even if {names} cannot be read; ask with has()"


def _values(tree: Tree, node: Expr) -> Iterator[str]:
    function, types = function_of(node), [tree.type_of(part) for part in children(node)]
    if function in ORDER and "amount" in types and "dyn" in types:
        yield "a bare number is read in the amount's currency; if the request names one, write money(value, currency)"
    elif function == "_!=_" and "dyn" in types:
        yield "!= is true for a value of any other type, and for null"
    elif function in _ARITHMETIC and any("double" in overload for overload in tree.overloads_of(node)):
        yield "arithmetic on doubles is rounded, and NaN is neither above nor below anything"


def _absorbing(tree: Tree, node: Expr, symbol: str) -> Iterator[tuple[Expr, list[str]]]:
    """Yield each outermost ``symbol`` with the paths read under it; a negation turns the symbol round."""
    function = function_of(node)
    if function == symbol and node.call_expr.args[0].ident_expr.name != "@result":
        yield node, [path for part in children(node) for path in _reads(tree, part)]
        return
    if function == "!_":
        symbol = _AND if symbol == _OR else _OR
    for part in children(node):
        yield from _absorbing(tree, part, symbol)


def _reads(tree: Tree, node: Expr) -> Iterator[str]:
    """Yield the outermost path of everything that may be absent."""
    path, name = path_of(tree, node), tree.name_of(node)
    if path and node.select_expr.test_only:
        return
    if path:
        if not name or (name in VARIABLES and VARIABLES[name].is_optional):
            yield path
        return
    for part in children(node):
        yield from _reads(tree, part)


def _guards(tree: Tree, node: Expr) -> Iterator[str]:
    name = tree.name_of(node)
    if name.startswith(HAS):
        yield name.removeprefix(HAS)
    elif node.select_expr.test_only:
        yield f"{path_of(tree, node.select_expr.operand)}.{node.select_expr.field}"
    elif function_of(node) == "@in" and (key := text_of(node.call_expr.args[0])) is not None:
        yield f"{path_of(tree, node.call_expr.args[1])}.{key}"


def path_of(tree: Tree, node: Expr) -> str:
    """Return ``request.json.amount`` for that, and for ``request.json["amount"]``; empty for what is no path."""
    if (name := tree.name_of(node)) in VARIABLES:
        return name
    kind = node.WhichOneof("expr_kind")
    if kind == "ident_expr":
        return str(node.ident_expr.name) if name and not name.startswith(("has.", "@")) else ""
    if kind == "select_expr":
        base, key = path_of(tree, node.select_expr.operand), str(node.select_expr.field)
    elif function_of(node) == "_[_]":
        base, index = path_of(tree, node.call_expr.args[0]), node.call_expr.args[1]
        key = text_of(index) or "[…]"
    else:
        return ""
    return f"{base}.{key}" if base else ""
