"""Is the condition true of this request?  Compiled once, evaluated for each; every doubt is an ERROR."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NoReturn

from cel_expr_python import cel

from ott_extauthz.policy.expressions import local_time
from ott_extauthz.policy.expressions.environment import environment
from ott_extauthz.policy.expressions.faults import ExpressionError, Hint, ValueFault, explanation, refusal
from ott_extauthz.policy.expressions.hints import hints
from ott_extauthz.policy.expressions.members import members_read, names_read, refuse_twins
from ott_extauthz.policy.expressions.presence import with_presence
from ott_extauthz.policy.expressions.rewriting import LOCAL_TIME, rewrite
from ott_extauthz.policy.expressions.rules import check
from ott_extauthz.policy.expressions.situation import Situation
from ott_extauthz.policy.expressions.tree import Tree, text_of
from ott_extauthz.policy.expressions.variables import HAS, VARIABLES

MAX_CHARACTERS: Final = 4096
"""A longer text is a program; it is refused unread."""

BODY: Final = "request.json"
_MAX_ERROR_CHARACTERS: Final = 200

Reader = Callable[[Situation], Any]


class Truth(Enum):
    """What an evaluation came to."""

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer; ``error`` says why there is none, without any value of the request."""

    truth: Truth
    error: str = ""

    def permits(self) -> bool:
        """Whether a ``when`` with this outcome lets the request pass."""
        return self.truth is Truth.TRUE

    def forbids(self) -> bool:
        """Whether a ``deny_when`` with this outcome refuses the request: it does on an error too."""
        return self.truth is not Truth.FALSE

    def __bool__(self) -> NoReturn:
        raise TypeError("an outcome is asked with permits() or forbids()")


_TRUE: Final = Outcome(Truth.TRUE)
_FALSE: Final = Outcome(Truth.FALSE)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, ready to be evaluated by any thread.

    ``variables`` are the names that it reads, ``path_params`` the path parameters and ``headers`` the headers; None is
    any of them.  Two of one text are equal: all the rest follows from it.
    """

    text: str
    variables: frozenset[str] = field(compare=False)
    path_params: frozenset[str] | None = field(compare=False)
    headers: frozenset[str] | None = field(compare=False)
    warnings: tuple[Hint, ...] = field(compare=False)
    _words: frozenset[str] = field(compare=False)
    _readers: tuple[tuple[str, Reader], ...] = field(compare=False)
    _expression: cel.Expression = field(compare=False)

    @property
    def needs_body(self) -> bool:
        """Whether the request's body must be read for it."""
        return BODY in self.variables

    @property
    def needs_asn(self) -> bool:
        """Whether the number of the caller's network must be looked up for it."""
        return "request.source.asn" in self.variables

    def evaluate(self, situation: Situation) -> Outcome:
        """Return TRUE, FALSE, or ERROR with its reason; never raises."""
        try:
            data = {name: value for name, read in self._readers if (value := read(situation)) is not None}
            result = self._expression.eval(data=data)
            kind, value = result.type().name(), result.value()
        except ValueFault as fault:
            return Outcome(Truth.ERROR, fault.message)
        except Exception as error:  # noqa: BLE001 - whatever breaks here must deny
            return Outcome(Truth.ERROR, explanation(str(error), self._words))
        # An error is a value too, and its text would be true.
        if kind == "BOOL":
            return _TRUE if value is True else _FALSE
        text = explanation(str(value), self._words) if kind == "ERROR" else "neither true nor false"
        return Outcome(Truth.ERROR, text[:_MAX_ERROR_CHARACTERS])


def compiled(text: str, *, denies: bool = False) -> Condition:
    """Compile a condition; ``denies`` says that it is a ``deny_when``, which changes what is worth a warning.

    Raises:
        ExpressionError: not CEL, an unknown name, types that do not fit, no boolean, or what can run too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"longer than {MAX_CHARACTERS} characters")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ExpressionError("holds a NUL character or half a surrogate pair")
    try:
        expression = environment().compile(with_presence(text))
    except RuntimeError as error:
        raise refusal(str(error), text, VARIABLES) from None
    tree = Tree(expression)
    check(tree)
    warnings = hints(tree, denies=denies)
    words = _words(tree)
    rewrite(tree)
    names = tree.names()
    return Condition(
        text=text,
        variables=frozenset(map(_variable, names)) & VARIABLES.keys(),
        path_params=members_read(tree, "request.path_params"),
        headers=members_read(tree, "request.headers"),
        warnings=warnings,
        _words=words,
        _readers=tuple((name, reader) for name in sorted(names) if (reader := _reader(name, tree)) is not None),
        _expression=tree.planned(),
    )


def _words(tree: Tree) -> frozenset[str]:
    """Return the member names and texts that stand in the policy itself: these an error may repeat."""
    selected = {str(node.select_expr.field) for node in tree.nodes()}
    return frozenset(selected | {word for node in tree.nodes() if (word := text_of(node)) is not None})


def _variable(name: str) -> str:
    return "request.time" if name.startswith(LOCAL_TIME) else name.removeprefix(HAS)


def _reader(name: str, tree: Tree) -> Reader | None:
    if name in VARIABLES:
        read = VARIABLES[name].reader(members_read(tree, name))
        return _without_twins(read, names_read(tree)) if name == BODY else read
    if name.startswith(HAS) and name.removeprefix(HAS) in VARIABLES:
        fetch = VARIABLES[name.removeprefix(HAS)].reader()
        return lambda situation: fetch(situation) is not None
    if name.startswith(LOCAL_TIME):
        _, field, zone_name = name.split(" ")
        zone = local_time.zone_from(zone_name)
        return lambda situation: local_time.read(field, zone, situation.request.time)
    return None


def _without_twins(read: Reader, names: Mapping[str, frozenset[str]]) -> Reader:
    def reader(situation: Situation) -> Any:  # noqa: ANN401 - JSON
        body = situation.request.json
        if body is not None:
            refuse_twins(body.value, names)
        return read(situation)

    return reader
