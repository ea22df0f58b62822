"""Which clients may ask for which tokens?  ``clients.yaml`` as values that cannot be wrong.

- Only what this version enforces can be written: an unknown key is a mistake, for a ceiling nobody holds is a lie.
- A client is one certificate matcher and, for each audience, its scopes and lifetime.  Nothing is granted by default.
- Two clients with one id, or with the same matcher, are a mistake: whose token would it be?
"""

from collections.abc import Container, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field

from ott_extauthz.documents.located import Located, Path, read_yaml
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.documents.validated import Model, validated
from ott_extauthz.issuer.client import Client
from ott_extauthz.issuer.matcher import SPELLINGS


class _Document(Model):
    clients: Annotated[list[Client], Field(min_length=1)]


Clients = Mapping[str, Client]
"""Every client by its id."""


def clients_from(text: str, source: str, *, rings: Container[str] | None = None) -> Clients:
    """Read ``clients.yaml``; its audiences may name ``rings`` (None: any).

    Raises:
        DocumentError: every problem at once, each with its place.
    """
    located = read_yaml(text, source)
    doubles = list(_doubles(located))
    try:
        document = validated(located, _Document)
    except DocumentError as error:
        raise DocumentError([*error.problems, *doubles]) from None
    unknown = [] if rings is None else _unknown_rings(located, document, rings)
    if doubles or unknown:
        raise DocumentError([*doubles, *unknown])
    return MappingProxyType({client.client_id: client for client in document.clients})


def _doubles(located: Located) -> Iterator[Problem]:
    """Compare the raw entries, so that a mistake elsewhere in the file does not hide a double."""
    seen: dict[tuple[str, str], int] = {}
    for path, kind, value in _identities(located.data):
        first = seen.setdefault((kind, value), int(path[1]))
        if first != path[1]:
            yield located.problem(path, f"clients[{first}] has the same {kind}")


def _unknown_rings(located: Located, document: _Document, rings: Container[str]) -> list[Problem]:
    return [
        located.problem(("clients", index, "audiences", audience, "ring"), "no ring of issuer.rings")
        for index, client in enumerate(document.clients)
        for audience, grant in client.audiences.items()
        if grant.ring not in rings
    ]


def _identities(data: Any) -> Iterator[tuple[Path, str, str]]:  # noqa: ANN401 - whatever stood in the file
    entries = data.get("clients") if isinstance(data, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict):
            continue
        if isinstance(entry.get("client_id"), str):
            yield ("clients", index, "client_id"), "client_id", entry["client_id"]
        matcher = entry.get("certificate")
        for kind, value in matcher.items() if isinstance(matcher, dict) else ():
            if isinstance(value, str) and kind in SPELLINGS:
                yield ("clients", index, "certificate", kind), kind, _spelled(kind, value)


def _spelled(kind: str, value: str) -> str:
    try:
        return SPELLINGS[kind](value)
    except ValueError:
        return value  # the model reports it
