"""Which value is in force?  The last one that loaded as a whole; a file that turns bad changes nothing.

A change is taken when

- it looks the same twice in a row, an interval apart, and ten times where it does not end in a line break: half of a
  policy can be a policy, with a route or a restriction less;
- it looks the same after it was loaded as before, so that what was judged is what is in force;
- or at once when an operator asks, who knows that the file is whole.

Bad content is judged once, not at every look; good content that came back clears the failure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.reload.looks import Look, look_at, stats_of
from ott_extauthz.reload.ownership import foreign

T = TypeVar("T")

SETTLED_LOOKS: Final = 1
UNENDED_LOOKS: Final = 10
_STABLE: Final = max(SETTLED_LOOKS, UNENDED_LOOKS) + 1


class Kind(StrEnum):
    """What a source is for."""

    POLICY = "policy"
    SHADOW_POLICY = "shadow policy"
    KEY_SET = "key set"
    DECRYPTION_KEYS = "decryption keys"
    CLIENTS = "clients"
    PARTNERS = "partners"
    API_KEYS = "API keys"
    TRUST_BUNDLE = "trust bundle"
    SIGNING_KEY = "signing key"
    TRACING = "tracing files"

    @property
    def is_secret(self) -> bool:
        """Whether what it holds could be guessed from its digest, which is then shown to nobody."""
        return self in (Kind.SIGNING_KEY, Kind.PARTNERS, Kind.TRACING)


class Result(StrEnum):
    """How a reload ended: the metrics' label."""

    LOADED = "loaded"
    REFUSED = "refused"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Failure:
    """A change that was not taken, and why."""

    at_ms: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class InForce(Generic[T]):
    """A value, since when it is in force, the look it was read from, and what was wrong with the last change."""

    value: T
    look: Look
    since_ms: int
    failure: Failure | None = None

    @property
    def fingerprint(self) -> str:
        """The start of the content's SHA-256: two contents under one revision show as two."""
        return self.look.digest.hex()[:12]


class Shown(Protocol):
    """What is shown of anything that may change while we serve; ``value`` None of ``in_force`` is nothing yet."""

    @property
    def kind(self) -> Kind:
        """What it is for."""
        ...

    @property
    def name(self) -> str:
        """Which one it is."""
        ...

    @property
    def in_force(self) -> InForce[Any]:
        """What counts now."""
        ...


class ReloadListener(Protocol):
    """Is told how reloads end."""

    def reloaded(self, source: Shown, result: Result, before: InForce[Any]) -> None:
        """Take note of a reload; ``source.in_force`` is what counts now, ``before`` what did."""
        ...


@dataclass(slots=True, kw_only=True)
class Source(Generic[T]):
    """A value that lives in files.

    ``files`` names them anew at each look; ``load`` reads them and raises DocumentError with every problem;
    ``take`` is told a new value.  ``ends_itself``: half of such a file never loads (JSON), so a missing line break at
    its end means nothing.  ``in_force`` is replaced as a whole, from any thread.
    """

    kind: Kind
    name: str
    files: Callable[[], Sequence[Path]]
    load: Callable[[], T]
    now_ms: Callable[[], int]
    listener: ReloadListener
    in_force: InForce[T]
    take: Callable[[T], None] = lambda _: None
    ends_itself: bool = False
    _last: Look | None = None
    _judged: object = None
    _alike: int = 0

    def __post_init__(self) -> None:
        self._last, self._judged = self.in_force.look, self.in_force.look.matter

    def current(self) -> T:
        """Return the value in force."""
        return self.in_force.value

    def poll(self) -> None:
        """Look, and take a change that has settled."""
        last, paths = self._last, self.files()
        if last is not None and self._alike >= _STABLE and stats_of(paths) == last.stats:
            return
        look = look_at(paths)
        self._alike = self._alike + 1 if last is not None and look.digest == last.digest else 0
        self._last = look
        needed = SETTLED_LOOKS if look.is_ended or self.ends_itself else UNENDED_LOOKS
        if look.matter != self._judged and self._alike >= needed:
            self._judge(look)

    def reload(self) -> bool:
        """Take what is there now; False where it changed while being read, and should be looked at again."""
        look = look_at(self.files())
        self._alike, self._last = 0, look
        return self._judge(look)

    def _judge(self, look: Look) -> bool:
        before = self.in_force
        if look.digest == before.look.digest:
            self._conclude(replace(before, failure=None), look, Result.UNCHANGED)
            return True
        problems, value = self._loaded(look)
        if look_at(self.files()).matter != look.matter:
            self._alike = 0
            return False
        if value is None:
            failure = Failure(self.now_ms(), problems)
            self._conclude(replace(before, failure=failure), look, Result.REFUSED)
        else:
            self.take(value.value)
            self._conclude(value, look, Result.LOADED)
        return True

    def _loaded(self, look: Look) -> tuple[tuple[Problem, ...], InForce[T] | None]:
        faults = [Problem(str(path), 0, 0, "", fault) for path, fault in look.faults]
        problems = faults or foreign(look.stats, self.in_force.look.stats)
        if problems:
            return tuple(problems), None
        try:
            return (), InForce(self.load(), look, self.now_ms())
        except DocumentError as error:
            return error.problems, None
        except Exception as error:  # noqa: BLE001 - whatever it was, the value in force stays, and the place is told
            return (Problem(self.name, 0, 0, "", f"cannot be judged: {type(error).__name__}"),), None

    def _conclude(self, now: InForce[T], look: Look, result: Result) -> None:
        before, self.in_force, self._judged = self.in_force, now, look.matter
        self.listener.reloaded(self, result, before)
