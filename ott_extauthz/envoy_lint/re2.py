"""Does a whole text match, as Envoy's own engine (RE2) reads the expression?

Python's engine has another syntax, and can be kept busy for ever by an expression; RE2 is at hand in the CEL engine.
"""

from functools import cache

from cel_expr_python import cel


def full_match(expression: str, text: str) -> bool | None:
    """Return whether all of ``text`` matches; None where RE2 does not take the expression, as Envoy would not."""
    if not isinstance(_found(expression, ""), bool):
        return None
    found = _found(f"^(?:{expression})$", text)
    return found if isinstance(found, bool) else None


def _found(expression: str, text: str) -> object:
    found: object = _program().eval(data={"text": text, "expression": expression}).value()
    return found


@cache
def _program() -> cel.Expression:
    variables = {"text": cel.Type.STRING, "expression": cel.Type.STRING}
    return cel.NewEnv(variables=variables).compile("text.matches(expression)")
