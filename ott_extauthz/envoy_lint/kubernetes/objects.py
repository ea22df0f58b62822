"""Which objects are there, and which of them select which workloads?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ott_extauthz.envoy_lint.document import Document
from ott_extauthz.envoy_lint.kubernetes.part import Part

ISTIO_NETWORKING: Final = "networking.istio.io"
ISTIO_SECURITY: Final = "security.istio.io"
GATEWAY: Final = "gateway.networking.k8s.io"
ENVOY_GATEWAY: Final = "gateway.envoyproxy.io"


class Object(Part):
    """One Kubernetes object, as a whole."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        """Its kind."""
        return self.at("kind").text

    @property
    def group(self) -> str:
        """The group of its API; empty for the core."""
        group, slash, _ = self.at("apiVersion").text.rpartition("/")
        return group if slash else ""

    @property
    def name(self) -> str:
        """Its name."""
        return self.at("metadata", "name").text

    @property
    def namespace(self) -> str:
        """Its namespace; empty where the text does not say, as in what Helm renders."""
        return self.at("metadata", "namespace").text

    @property
    def spec(self) -> Part:
        """Its specification."""
        found = self.at("spec")
        return Part(found.document, found.path, found.value)


@dataclass(frozen=True, slots=True)
class Objects:
    """Everything that is judged together."""

    every: tuple[Object, ...]

    @classmethod
    def of(cls, documents: Sequence[Document]) -> "Objects":
        """Take the documents as they are; a List stands for its items."""
        return cls(tuple(one for document in documents for one in _objects(Object(document, (), document.tree))))

    def kind(self, kind: str, group: str = "") -> Iterator[Object]:
        """Yield the objects of a kind."""
        return (one for one in self.every if one.kind == kind and one.group == group)


def _objects(found: Object) -> Iterator[Object]:
    if found.kind == "List" and found.group == "":
        for item in found.at("items"):
            yield from _objects(Object(item.document, item.path, item.value))
    else:
        yield found


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Return whether a workload with these labels is among the selected; an empty selector takes all."""
    return selector.items() <= labels.items()
