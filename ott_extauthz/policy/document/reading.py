"""Is this a policy?  Its files read, each held to the models, then to one another; every mistake at once."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.documents.located import read_yaml
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.documents.validated import validated
from ott_extauthz.model.framing import framed
from ott_extauthz.policy.clients import Client, ClientList
from ott_extauthz.policy.document.agreement import disagreements, warnings_of
from ott_extauthz.policy.document.client import ClientRule, Vocabulary
from ott_extauthz.policy.document.parts import Part
from ott_extauthz.policy.document.route import Bundles, RouteRule
from ott_extauthz.policy.document.whole import PolicyDocument
from ott_extauthz.policy.table import RouteTable
from ott_extauthz.policy.terms import SignedSpan, widest_span

_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy in force: its revision, which every decision names, its compiled routes and clients.

    ``clients`` is None where the policy has no such section.  ``warnings`` keep nothing from starting.
    ``signed_span`` is how long a signed request is good on any of its routes.
    """

    revision: str
    table: RouteTable
    clients: ClientList | None = None
    warnings: tuple[Problem, ...] = ()
    signed_span: SignedSpan = field(default_factory=SignedSpan)


def policy_from(text: str, source: str) -> Policy:
    """Read and compile a policy of one file; ``source`` is its name in messages.

    Raises:
        DocumentError: every problem at once, each with its place.
    """
    return policy_from_files([(text, source)])


def policy_from_files(files: Sequence[tuple[str, str]]) -> Policy:
    """Read and compile a policy of several files, each a text and its name in messages.

    Raises:
        DocumentError: every problem of every file at once, each with its place.
    """
    problems: list[Problem] = []
    parts = [part for text, source in files if (part := _part(text, source, problems)) is not None]
    if len(parts) == len(files):  # else what a file that is no YAML would have said seems to be missing
        known = {(problem.source, problem.field) for problem in problems}
        problems += [found for found in disagreements(parts) if (found.source, found.field) not in known]
    documents = [part.document for part in parts if part.document is not None]
    if problems or len(documents) != len(files):
        raise DocumentError(problems)
    return _compiled(documents, _revision(documents, files), tuple(warnings_of(parts)))


def _part(text: str, source: str, problems: list[Problem]) -> Part | None:
    try:
        located = read_yaml(text, source)
    except DocumentError as error:
        problems += error.problems
        return None
    try:
        return Part(located, validated(located, PolicyDocument))
    except DocumentError as error:
        problems += error.problems
        return Part(located, None)


def _revision(documents: Sequence[PolicyDocument], files: Sequence[tuple[str, str]]) -> str:
    written = next((document.revision for document in documents if document.revision is not None), None)
    if written is not None:
        return written
    digest = hashlib.sha256(framed(*(text for text, _ in files)))
    return f"sha256:{digest.hexdigest()[:_DIGITS]}"


def _compiled(documents: Sequence[PolicyDocument], revision: str, warnings: tuple[Problem, ...]) -> Policy:
    roles = {name: frozenset(scopes) for document in documents for name, scopes in (document.roles or {}).items()}
    rules = [rule for document in documents for rule in document.routes or ()]
    clients = [rule for document in documents for rule in document.clients or ()]
    table = RouteTable((rule.match.compiled(), rule.compiled(roles)) for rule in rules)
    compiled = ClientList(_clients(clients, roles or None, rules)) if clients else None
    span = widest_span(asks.signed for route in table.routes for asks in route.parts if asks.signed is not None)
    return Policy(revision, table, compiled, warnings, span)


def _clients(clients: Sequence[ClientRule], bundles: Bundles | None, rules: Sequence[RouteRule]) -> Iterator[Client]:
    known = _vocabulary(rules)
    for client in clients:
        yield client.compiled(bundles, known)


def _vocabulary(rules: Sequence[RouteRule]) -> Vocabulary:
    """The names that ``may_call`` can mean."""
    names = sorted(rule.name for rule in rules)
    return Vocabulary(tuple(names), tuple(sorted({rule.audience or "" for rule in rules} - {""})))
