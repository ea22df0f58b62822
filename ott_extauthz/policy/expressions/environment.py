"""What does the engine (cel-cpp, by ``cel-expr-python``) know: the variables, and the functions with their code?

The checker sees ``money`` as CEL's bytes, which have an order and no other use in a policy, ``ip`` as an empty message
(the binding turns abstract types into ``dyn``) and a ``cidr`` as a list of that type.  After the check their
comparisons are renamed (:mod:`.rewriting`) to the functions whose names begin with ``@``, which no text can call.

No function takes ``dyn``, or a list that is not one of texts: the binding releases None once too often for each null
that it hands to Python, and a caller who sends nulls would end the process.
"""

import operator
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from cel_expr_python import cel
from google.protobuf.empty_pb2 import Empty

from ott_extauthz.policy.expressions import addresses, money
from ott_extauthz.policy.expressions.variables import HAS, VARIABLES

ORDER: Final = {
    "_<_": ("@money_less", operator.lt),
    "_<=_": ("@money_less_equal", operator.le),
    "_>_": ("@money_greater", operator.gt),
    "_>=_": ("@money_greater_equal", operator.ge),
    "_==_": ("@money_equal", operator.eq),
    "_!=_": ("@money_unequal", operator.ne),
}
"""CEL's comparison to the name and the operation of ours over money."""

_SCALARS: Final = ("STRING", "INT", "DOUBLE")


@cache
def environment() -> cel.Env:
    """Return the one environment of this process; building it takes milliseconds."""
    variables = {variable.name: _type(variable.type) for variable in VARIABLES.values()}
    variables |= {HAS + name: cel.Type.BOOL for name in VARIABLES}
    return cel.NewEnv(variables=variables, extensions=[cel.CelExtension("ott", _functions())])


def _type(name: str) -> cel.Type:
    text, whole = cel.Type.STRING, cel.Type.INT
    types = {
        "string": text,
        "int": whole,
        "timestamp": cel.Type.TIMESTAMP,
        "amount": cel.Type.BYTES,
        "dyn": cel.Type.DYN,
        "list(string)": cel.Type.List(text),
        "list(int)": cel.Type.List(whole),
        "map(string, string)": cel.Type.Map(text, text),
        "map(string, list(string))": cel.Type.Map(text, cel.Type.List(text)),
        "map(string, dyn)": cel.Type.Map(text, cel.Type.DYN),
    }
    return types[name]


def _functions() -> list[cel.FunctionDecl]:
    text, amount, boolean = cel.Type.STRING, cel.Type.BYTES, cel.Type.BOOL
    texts, address = cel.Type.List(text), cel.Type(Empty.DESCRIPTOR.full_name)
    declared = [
        _function("money", amount, [[getattr(cel.Type, kind), text] for kind in _SCALARS], money.amount),
        _function("ip", address, [[text]]),
        _function("cidr", cel.Type.List(address), [[text], [texts]]),
        _function("local_time", cel.Type.Map(text, cel.Type.INT), [[text]]),
        _function("@ip", text, [[text]], addresses.canonical),
        _function("@cidr", text, [[text]], addresses.ranges),
        _function("@cidrs", text, [[texts]], addresses.ranges),
        _function("@ip_in", boolean, [[text, text]], addresses.is_in),
    ]
    bare = [getattr(cel.Type, kind) for kind in _SCALARS]
    pairs = [[amount, amount], *([amount, other] for other in bare), *([other, amount] for other in bare)]
    return declared + [_function(name, boolean, pairs, money.comparison(test)) for name, test in ORDER.values()]


def _function(
    name: str, result: cel.Type, forms: list[list[cel.Type]], code: Callable[..., Any] | None = None
) -> cel.FunctionDecl:
    return cel.FunctionDecl(
        name,
        [
            cel.Overload(f"{name}_{number}", result, parameters, False, code)  # noqa: FBT003 - the binding's own order
            for number, parameters in enumerate(forms)
        ],
    )
