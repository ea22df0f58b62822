"""What does a checked condition say?  The engine's syntax tree with its types, names and places."""

from collections.abc import Iterator

from cel.expr.checked_pb2 import CheckedExpr, Type
from cel.expr.syntax_pb2 import Expr
from cel_expr_python import cel
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import DecodeError

from ott_extauthz.policy.expressions.environment import environment
from ott_extauthz.policy.expressions.faults import ExpressionError


class Tree:
    """One checked expression; mutable, for it is rewritten before it is planned."""

    def __init__(self, compiled: cel.Expression) -> None:
        self._checked = CheckedExpr()
        try:
            Packed.FromString(compiled.serialize()).Unpack(self._checked)
        except DecodeError:
            raise ExpressionError("nested too deeply") from None
        self.root: Expr = self._checked.expr

    def planned(self) -> cel.Expression:
        """Return the expression as the engine evaluates it."""
        packed = Packed()
        packed.Pack(self._checked)
        return environment().deserialize(packed.SerializeToString())

    def type_of(self, node: Expr) -> str:
        """Return the checker's type: ``string``, ``dyn``, ``amount``, ``ip``, ``list(string)``; CEL's word else."""
        found = self._checked.type_map
        return _named(found[node.id]) if node.id in found else "dyn"

    def name_of(self, node: Expr) -> str:
        """Return the variable that ``node`` stands for, or an empty text."""
        references = self._checked.reference_map
        return str(references[node.id].name) if node.id in references and not function_of(node) else ""

    def overloads_of(self, node: Expr) -> list[str]:
        """Return which of a function's forms the checker thinks possible."""
        references = self._checked.reference_map
        return list(references[node.id].overload_id) if node.id in references else []

    def names(self) -> set[str]:
        """Return every variable that is named."""
        return {name for node in self.nodes() if (name := self.name_of(node))}

    def place_of(self, node: Expr) -> tuple[int, int]:
        """Return line and column, from 1."""
        info = self._checked.source_info
        offset = info.positions.get(node.id, 0)
        starts = [0, *(end for end in info.line_offsets if end <= offset)]
        return len(starts), offset - starts[-1] + 1

    def rename(self, node: Expr, name: str) -> None:
        """Call another function, which the engine then chooses by the kinds of the values alone."""
        node.call_expr.function = name
        self._forget(node)

    def become_variable(self, node: Expr, name: str) -> None:
        """Put a variable in the place of ``node``."""
        node.ident_expr.name = name
        self._forget(node)
        self._checked.reference_map[node.id].name = name

    def _forget(self, node: Expr) -> None:
        if node.id in self._checked.reference_map:
            del self._checked.reference_map[node.id]

    def nodes(self) -> Iterator[Expr]:
        """Yield every node, parents first."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(children(node))


def children(node: Expr) -> list[Expr]:
    """Return the direct parts of ``node``, in the order of the text."""
    kind = node.WhichOneof("expr_kind")
    if kind == "call_expr":
        target = [node.call_expr.target] if node.call_expr.HasField("target") else []
        return [*target, *node.call_expr.args]
    if kind == "select_expr":
        return [node.select_expr.operand]
    if kind == "list_expr":
        return list(node.list_expr.elements)
    if kind == "struct_expr":
        keys = [entry.map_key for entry in node.struct_expr.entries if entry.HasField("map_key")]
        return [*keys, *(entry.value for entry in node.struct_expr.entries)]
    if kind == "comprehension_expr":
        loop = node.comprehension_expr
        return [loop.iter_range, loop.accu_init, loop.loop_condition, loop.loop_step, loop.result]
    return []


def function_of(node: Expr) -> str:
    """Return the name of the function that ``node`` calls, or an empty text."""
    return str(node.call_expr.function) if node.WhichOneof("expr_kind") == "call_expr" else ""


def text_of(node: Expr) -> str | None:
    """Return the text that stands there as a literal, or None."""
    if node.WhichOneof("expr_kind") == "const_expr" and node.const_expr.WhichOneof("constant_kind") == "string_value":
        return str(node.const_expr.string_value)
    return None


def _named(kind: Type) -> str:
    form = kind.WhichOneof("type_kind")
    if form == "primitive":
        name = str(Type.PrimitiveType.Name(kind.primitive)).lower()
        return {"bytes": "amount", "int64": "int", "uint64": "uint"}.get(name, name)
    if form == "message_type":
        return "ip"
    if form == "list_type":
        return f"list({_named(kind.list_type.elem_type)})"
    return "dyn" if form == "dyn" else "other"
