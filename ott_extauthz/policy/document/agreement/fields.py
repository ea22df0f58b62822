"""Do the fields of one entry go together?

- A key without a value is a mistake: ``clients:`` must not come to mean "any client".
- A public route names no requirement: it would look guarded and not be; neither does one that attaches.
- A route says either ``credential`` or ``attach``: whether it guards requests that come, or helps those that leave.
- A combination (``all_of``, ``any_of``) never asks for two credentials in one place: nobody could tell them apart.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

from ott_extauthz.documents.located import Path
from ott_extauthz.documents.problems import Problem
from ott_extauthz.policy.document.agreement.credentials import (
    OF_ONE_CREDENTIAL,
    clash_of,
    credential_problems,
    places_of,
)
from ott_extauthz.policy.document.agreement.proofs import proof_problems, second_proofs
from ott_extauthz.policy.document.attaching import FOR_CHECKS_ONLY
from ott_extauthz.policy.document.credential import TOKENS
from ott_extauthz.policy.document.parts import Part, RouteEntry
from ott_extauthz.policy.document.signing import FOR_TOKENS_ONLY as FOR_ATTACHED_TOKENS_ONLY

FOR_TOKENS_ONLY: Final = (
    "audience", "bound_to", "unbound", "clients", "roles", "scopes", "max_auth_age", "from",
    "brand", "amount", "constraints", "bound_to_request", "encrypted", "allow_unbuffered_empty", "mode", "when",
    "deny_when", "all_of", "any_of", "issuers", "verified_by", "signed_request", "certificate",
)  # fmt: skip
"""The keys of a route that mean something only where a token is asked for."""

_KINDS: Final = ("credential", "all_of", "any_of")


def field_problems(parts: Sequence[Part], routes: Sequence[RouteEntry]) -> Iterator[Problem]:
    """Yield what the fields of each entry must not say together."""
    for part in parts:
        for path in _valueless(part.located.data, ()):
            yield part.located.problem(path, "has no value; leave the key out, or give it one")
    for route in routes:
        yield from _within(route)


def _valueless(data: Any, path: Path) -> Iterator[Path]:  # noqa: ANN401 - whatever stood in the file
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in parts:
        if value is None:
            yield (*path, key)
        elif isinstance(value, dict | list):
            yield from _valueless(value, (*path, key))


def _within(route: RouteEntry) -> Iterator[Problem]:
    yield from _of_its_kind(route)
    if route.is_attaching:
        yield from _of_attaching_route(route)
        return
    if route.is_public:
        for name in FOR_TOKENS_ONLY:
            if name in route.data:
                yield route.problem((name,), f"a public route asks for no token, so {name} would guard nothing")
        return
    yield from _of_credentials(route)


def _of_credentials(route: RouteEntry) -> Iterator[Problem]:
    kinds = [kind for kind, _, _ in route.credentials()]
    if "audience" not in route.data and not TOKENS.isdisjoint(kinds):
        yield route.problem(("audience",), "required: a token is for one audience")
    if "encrypted" in route.data and TOKENS.isdisjoint(kinds):
        yield route.problem(("encrypted",), "is about tokens, and this route asks for none")
    for kind, path, data in route.credentials():
        if route.data.get("encrypted") is True and "verified_by" in data:
            yield route.problem(
                (*path, "verified_by"), "Envoy cannot read the encrypted tokens that the route asks for"
            )
        for where, message in chain(credential_problems(kind, data), proof_problems(data)):
            yield route.problem((*path, *where), message)
    for where, message in second_proofs(route.credentials()):
        yield route.problem(where, message)


def _of_its_kind(route: RouteEntry) -> Iterator[Problem]:
    said = [name for name in _KINDS if name in route.data]
    if route.is_attaching and "credential" in route.data:
        yield route.problem(("attach",), "a route either checks (credential) or attaches, never both")
    if not route.is_attaching and not said:
        yield route.problem(("credential",), "required: what a request must carry; or attach, for requests that leave")
    if len(said) > 1:
        yield route.problem((said[1],), f"stands instead of {said[0]}, never beside it")
    if not route.is_attaching and "to" in route.data:
        yield route.problem(("to",), "says where an attached token is put; this route attaches none")
    if not route.is_signing and "sign" in route.data:
        yield route.problem(("sign",), "says how a request that leaves is signed; this route has no such attach")
    if said and said[0] != "credential":
        yield from _of_a_combination(route, said[0])


def _of_a_combination(route: RouteEntry, name: str) -> Iterator[Problem]:
    for key in OF_ONE_CREDENTIAL:
        if key in route.data:
            yield route.problem((key,), f"belongs to one credential: write it in the entry of {name} that it is about")
    places: set[tuple[str, str]] = set()
    parts = route.credentials()
    for number, (kind, path, data) in enumerate(parts):
        if kind == "certificate" and name == "any_of" and number < len(parts) - 1:
            yield route.problem(path, "a certificate comes with every request: what stands below it is never asked for")
        for place in places_of(kind, data):
            clash = clash_of(name, place, places)
            if clash is not None:
                yield route.problem(path, clash)
            places.add(place)


def _of_attaching_route(route: RouteEntry) -> Iterator[Problem]:
    for name in FOR_CHECKS_ONLY:
        if name in route.data:
            yield route.problem((name,), f"an attaching route asks its workload for no token, so {name} guards nothing")
    if route.is_signing:
        yield from _of_signing_route(route)
    elif "audience" not in route.data:
        yield route.problem(("audience",), "required: a token is for one audience")


def _of_signing_route(route: RouteEntry) -> Iterator[Problem]:
    for name, why in FOR_ATTACHED_TOKENS_ONLY.items():
        if name in route.data:
            yield route.problem((name,), f"belongs to attached tokens: {why}")
    if "sign" not in route.data:
        yield route.problem(("sign",), "required: the key that signs")
    if "allow_unbuffered_empty" in route.data and not route.signs_body:
        yield route.problem(("allow_unbuffered_empty",), "is about the body, which this route does not sign")
