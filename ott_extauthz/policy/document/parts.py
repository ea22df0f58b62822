"""What did the files say, entry by entry?  Plain data with its places, whether or not it fits the models.

The checks between entries read these, so that a mistake elsewhere in a file hides nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ott_extauthz.documents.located import Located, Path
from ott_extauthz.documents.problems import Problem
from ott_extauthz.policy.document.credential import CHECKED_KINDS
from ott_extauthz.policy.document.match import MatchRule
from ott_extauthz.policy.document.whole import PolicyDocument
from ott_extauthz.policy.routes import Match
from ott_extauthz.policy.terms import CONTENT_DIGEST


@dataclass(frozen=True, slots=True)
class Part:
    """One file: its data, and the model where it fits."""

    located: Located
    document: PolicyDocument | None

    def section(self, name: str) -> Any:  # noqa: ANN401 - whatever stood in the file
        """Return what stands under a key of the file."""
        return self.located.data.get(name) if isinstance(self.located.data, dict) else None


@dataclass(frozen=True, slots=True)
class Entry:
    """One route or client of a file."""

    part: Part
    path: Path
    data: dict[str, Any]

    def problem(self, path: Path, message: str) -> Problem:
        """Return a problem at ``path`` within the entry."""
        return self.part.located.problem((*self.path, *path), message)

    def words(self, name: str) -> list[str]:
        """Return the texts in a list of the entry, without what is no text."""
        value = self.data.get(name)
        return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []

    def seen_from(self, other: "Entry") -> str:
        """Name this entry in a problem of another one: ``routes[0] (health)``, with the place in another file."""
        name = self.data.get("name")
        text = f"{self.path[0]}[{self.path[1]}]" + (
            f" ({name})" if isinstance(name, str) and name.isprintable() else ""
        )
        if self.part is other.part:
            return text
        line, _ = self.part.located.places.get(self.path, (0, 0))
        return f"{self.part.located.source}:{line}: {text}"


@dataclass(frozen=True, slots=True)
class RouteEntry(Entry):
    """One route; ``match`` is None where it cannot be read."""

    match: Match | None

    @property
    def is_public(self) -> bool:
        """Whether it asks for nothing."""
        return self.data.get("credential") == "public"

    @property
    def is_attaching(self) -> bool:
        """Whether it is for requests that leave, and asks for nothing either."""
        return "attach" in self.data

    @property
    def is_signing(self) -> bool:
        """Whether what it puts on requests is a signature."""
        return self.data.get("attach") == "signed_request"

    @property
    def signs_body(self) -> bool:
        """Whether the signature is over the body: unless the components that it names leave its digest out."""
        sign = self.data.get("sign")
        components = sign.get("components") if isinstance(sign, dict) else None
        return not isinstance(components, list) or any(CONTENT_DIGEST in str(each) for each in components)

    def credentials(self) -> list[tuple[str, Path, dict[str, Any]]]:
        """Return each credential that it asks for: its kind, its place within the route, and its keys."""
        kind = self.data.get("credential")
        if isinstance(kind, str):
            return [(kind, (), self.data)] if kind in CHECKED_KINDS else []
        found: list[tuple[str, Path, dict[str, Any]]] = []
        for name in ("all_of", "any_of"):
            several = self.data.get(name)
            for index, each in enumerate(several if isinstance(several, list) else ()):
                kind = each.get("credential") if isinstance(each, dict) else None
                if isinstance(kind, str) and kind in CHECKED_KINDS:
                    found.append((kind, (name, index), each))
        return found

    @property
    def asks_for_a_token(self) -> bool:
        """Whether a client must bring something."""
        return not self.is_public and not self.is_attaching

    @property
    def is_open(self) -> bool:
        """Whether requests go on that bring nothing: it is public, or in shadow."""
        return self.is_public or self.data.get("mode") == "shadow"

    @property
    def openness(self) -> str:
        """Say which of the two, for a problem of an open route."""
        return "public" if self.is_public else "in shadow"


def routes_of(parts: Sequence[Part]) -> list[RouteEntry]:
    """Return every route that is a mapping, of every file."""
    return [
        RouteEntry(part, ("routes", index), data, _match(part, index, data))
        for part in parts
        for index, data in _mappings(part.section("routes"))
    ]


def clients_of(parts: Sequence[Part]) -> list[Entry]:
    """Return every client that is a mapping, of every file."""
    return [
        Entry(part, ("clients", index), data) for part in parts for index, data in _mappings(part.section("clients"))
    ]


def _mappings(section: Any) -> Iterator[tuple[int, dict[str, Any]]]:  # noqa: ANN401 - whatever stood in the file
    for index, entry in enumerate(section if isinstance(section, list) else ()):
        if isinstance(entry, dict):
            yield index, entry


def _match(part: Part, index: int, data: dict[str, Any]) -> Match | None:
    if part.document is not None and part.document.routes is not None:
        return part.document.routes[index].match.compiled()
    try:
        return MatchRule.model_validate(data.get("match")).compiled()
    except ValueError:
        return None
