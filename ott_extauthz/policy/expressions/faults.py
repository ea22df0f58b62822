"""What is wrong with a condition, or with one evaluation of it, in words that hold no value of a request?"""

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

OURS: Final = "ott: "
"""Marks the errors of our own functions, whose texts are written here in the package and hold no values."""

_FROM_US: Final = f"UNKNOWN: {OURS}"
_COMPLAINT: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)' \(in container ''\)")
_ABSENT: Final = re.compile(r'UNKNOWN: No value with name "([^"]*)" found in Activation')
_NO_KEY: Final = re.compile(r'NOT_FOUND: Key not found in map : "(.*)"', re.DOTALL)
_NO_OVERLOAD: Final = re.compile(r"UNKNOWN: No matching overloads found : ([@\w<>=!+*/%?:\[\]-]+(?:\([a-z0-9_, ]*\))?)")
_WORDS: Final = {"bytes": "amount", "list(google.protobuf.Empty)": "cidr", "google.protobuf.Empty": "ip"}
_HARMLESS: Final = (  # texts of the engine without any value
    "divide by zero",
    "modulus by zero",
    "integer overflow",
    "Iteration budget exceeded",
    "Applying SELECT to non-message type",
    "cannot convert string to int",
)
_STATUS: Final = re.compile(r"[A-Z_]+")
_MONEY_HINT: Final = '; an amount is compared with an amount: money(value, "EUR")'


@dataclass(frozen=True, slots=True)
class Hint:
    """What compiles and may still surprise: the message and its place in the text, counted from 1."""

    message: str
    line: int
    column: int


class ExpressionError(ValueError):
    """A condition that cannot be used: the message and its place in the text, counted from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"{line}:{column}: {message}")
        self.message = message
        self.line = line
        self.column = column


class ValueFault(ValueError):  # noqa: N818 - it becomes an error value of the engine, seen as text
    """A function of ours cannot answer for this value; the text says why without showing it."""

    def __init__(self, message: str) -> None:
        super().__init__(OURS + message)
        self.message = message


def refusal(complaint: str, text: str, names: Iterable[str]) -> ExpressionError:
    """Return the engine's complaint about ``text`` in the policy's words; ``names`` are the variables there are."""
    found = _COMPLAINT.search(complaint)
    if found is None:
        return ExpressionError("nested too deeply" if "recursion" in complaint else "the engine cannot read this")
    line, column, message = int(found[1]), int(found[2]), found[3]
    if undeclared := _UNDECLARED.fullmatch(message):
        return _unknown(undeclared[1], text.split("\n")[line - 1], names, line, column)
    if "no matching overload" in message:
        has_amount = "bytes" in message
        for word, ours in _WORDS.items():
            message = message.replace(word, ours)
        message += _MONEY_HINT if has_amount else ""
    return ExpressionError(message, line, column)


def _unknown(name: str, text: str, names: Iterable[str], line: int, column: int) -> ExpressionError:
    """The engine points into ``request.pathh``, behind its first word; the whole of it is what is unknown."""
    chains = re.finditer(rf"(?<![\w.]){re.escape(name)}(?:\s*\.\s*\w+)*", text)
    chain = max((found for found in chains if found.start() <= column), key=re.Match.start, default=None)
    wanted = re.sub(r"\s", "", chain[0]) if chain else name
    near = difflib.get_close_matches(wanted, list(names), n=1)
    message = f"unknown name {wanted!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    return ExpressionError(message, line, chain.start() + 1 if chain else column)


def explanation(error: str, known: Collection[str]) -> str:
    """Return the engine's error value as a text that may be logged; member names only when the condition has them."""
    if error.startswith(_FROM_US):
        return error.removeprefix(_FROM_US)
    if found := _ABSENT.fullmatch(error):
        return f"{found[1]} is absent"
    if found := _NO_KEY.fullmatch(error):
        return f"no member {found[1]!r}" if found[1] in known else "no such member"
    if found := _NO_OVERLOAD.match(error):
        return f"values of types that do not go together: {found[1].removeprefix('@')}"
    for words in _HARMLESS:
        if words in error:
            return words
    status = _STATUS.match(error)
    return f"the engine could not evaluate it ({status[0] if status else 'unknown'})"
