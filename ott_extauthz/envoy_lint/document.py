"""What is read?  One document of a file, with where each of its parts stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ott_extauthz.envoy_lint.finding import Place

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A config dump, a bootstrap, or one Kubernetes object; ``lines`` is empty where the text has no useful lines."""

    name: str
    tree: Mapping[str, Any]
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False)

    def place(self, *path: str | int) -> Place:
        """Return where a part stands; of one that is absent, the line of the nearest that holds it."""
        shown = next((self.lines[path[:size]] for size in range(len(path), -1, -1) if path[:size] in self.lines), None)
        return Place(document=self.name, path=path, line=shown)
