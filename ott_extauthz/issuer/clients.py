"""Which clients may ask for which tokens?  ``clients.yaml`` as values that cannot be wrong.

- Only what this version enforces can be written: an unknown key is a mistake, for a ceiling nobody holds is a lie.
- A client is known by one thing, that of its method, and has scopes and a lifetime for each audience.  Nothing is
  granted by default.
- Two clients with one id, or with the same matcher, are a mistake: whose token would it be?
"""

from collections.abc import Container, Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field

from ott_extauthz.documents.located import Located, Path, read_yaml
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.documents.validated import Model, validated
from ott_extauthz.issuer.client import PROOFS, Client, Method
from ott_extauthz.issuer.matcher import SPELLINGS
from ott_extauthz.issuer.order import DEFAULT_RING


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
    disagreements = [*_doubles(located), *_misfits(located)]
    try:
        document = validated(located, _Document)
    except DocumentError as error:
        raise DocumentError([*error.problems, *disagreements]) from None
    disagreements += [] if rings is None else _unknown_rings(located, document, rings)
    disagreements += _keys_of_two_formats(document, located)
    if disagreements:
        raise DocumentError(disagreements)
    return MappingProxyType({client.client_id: client for client in document.clients})


def _misfits(located: Located) -> Iterator[Problem]:
    """Compare each entry's method with what the client is known by, raw as well."""
    known_by = frozenset[str]().union(*(names for names, _ in PROOFS.values()))
    for index, entry in _entries(located.data):
        try:
            method = Method(str(entry.get("authentication")))
        except ValueError:
            continue  # the model reports it
        wanted, told = PROOFS[method]
        path: Path = ("clients", index)
        for name in sorted((known_by & entry.keys()) - wanted):
            yield located.problem((*path, name), f"not for {method}, which takes {told}")
        if len(wanted & entry.keys()) != 1:
            name = min(wanted & entry.keys(), default=min(wanted))
            yield located.problem((*path, name), f"required for {method}: {told}")
        matcher = entry.get("certificate")
        if method is Method.SELF_SIGNED_TLS and isinstance(matcher, dict) and matcher.keys() - {"sha256"}:
            told = "a self-signed certificate is known by its sha256; nobody vouches for its names"
            yield located.problem((*path, "certificate"), told)
        if "unbound" in entry and method in (Method.TLS, Method.SELF_SIGNED_TLS):
            yield located.problem((*path, "unbound"), f"not for {method}, whose tokens are bound to the certificate")


def _entries(data: Any) -> Iterator[tuple[int, dict[str, Any]]]:  # noqa: ANN401 - whatever stood in the file
    entries = data.get("clients") if isinstance(data, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield index, entry


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


def _keys_of_two_formats(document: _Document, located: Located) -> Iterator[Problem]:
    """Say where one key would sign tokens of both formats (PASETO, "Algorithm Lucidity")."""
    places = [
        (("clients", index, "audiences", audience, "ring"), grant)
        for index, client in enumerate(document.clients)
        for audience, grant in client.audiences.items()
    ]
    as_jwt = {DEFAULT_RING} | {grant.ring for _, grant in places if grant.format == "jwt"}
    for path, grant in places:
        if grant.format == "paseto" and grant.ring in as_jwt:
            yield located.problem(path, "format: paseto needs a ring that signs no JWT: a key is for one format")


def _identities(data: Any) -> Iterator[tuple[Path, str, str]]:  # noqa: ANN401 - whatever stood in the file
    for index, entry in _entries(data):
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
