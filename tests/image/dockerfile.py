"""What does the Dockerfile say?  A strict reader of the few instructions that it uses; anything else is an error."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

WORDS: Final = frozenset({
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL", "USER",
    "WORKDIR",
})  # fmt: skip
_FLAG: Final = re.compile(r"--([a-z-]+)=(\S+)\s+")
_VARIABLE: Final = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")


class DockerfileError(Exception):
    """It says something that this reader, and so the dry run, does not know."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: its word, its flags, and the rest of it."""

    line: int
    word: str
    flags: Mapping[str, str]
    text: str

    @property
    def exec_form(self) -> list[str]:
        """The words of a JSON array; the shell form would put a shell before the program, which gets the signals."""
        text = self.text.removeprefix("CMD").strip() if self.word == "HEALTHCHECK" else self.text
        found = json.loads(text)
        if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
            raise DockerfileError(f"line {self.line}: {self.word} is no list of words")
        return found

    def pairs(self, known: Mapping[str, str]) -> dict[str, str]:
        """Return ``name=value …`` with variables filled in."""
        return {
            name: expanded(value, known) for name, _, value in (word.partition("=") for word in shlex.split(self.text))
        }


@dataclass
class Stage:
    """One FROM and what follows it."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, word: str) -> list[Instruction]:
        return [one for one in self.instructions if one.word == word]

    def only(self, word: str) -> Instruction:
        (found,) = self.all(word)
        return found


@dataclass(frozen=True)
class Dockerfile:
    """The arguments before the first stage, and the stages."""

    arguments: Mapping[str, str]
    stages: list[Stage]


def dockerfile_from(text: str) -> Dockerfile:
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for one in _instructions(text):
        if one.word == "FROM":
            base, _, name = one.text.partition(" AS ")
            stages.append(Stage(expanded(base, arguments), name))
        elif stages:
            stages[-1].instructions.append(one)
        elif one.word == "ARG":
            arguments |= one.pairs({})
        else:
            raise DockerfileError(f"line {one.line}: {one.word} before the first FROM")
    return Dockerfile(arguments, stages)


def expanded(text: str, known: Mapping[str, str]) -> str:
    """Return the text with ``${NAME}`` filled in; a name that nobody set is a mistake."""
    missing = [name for name in _VARIABLE.findall(text) if name not in known]
    if missing:
        raise DockerfileError(f"{text}: {missing[0]} is not set")
    return _VARIABLE.sub(lambda found: known[found[1]], text)


def _instructions(text: str) -> Iterator[Instruction]:
    for line, whole in _joined(text):
        word, _, rest = whole.partition(" ")
        if word not in WORDS:
            raise DockerfileError(f"line {line}: {word} is not known here")
        flags = {}
        rest = rest.strip()
        while found := _FLAG.match(rest):
            flags[found[1]] = found[2]
            rest = rest[found.end() :]
        yield Instruction(line, word, flags, rest)


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield each instruction as one line, with the number of its first."""
    parts: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or not line.strip():
            continue
        first = first if parts else number
        parts.append(line.strip().removesuffix("\\").strip())
        if not line.rstrip().endswith("\\"):
            yield first, " ".join(parts)
            parts = []
    if parts:
        raise DockerfileError(f"line {first}: does not end")
