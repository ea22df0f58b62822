"""Does every name mean one thing, and is everything that is named there?

- Routes, roles and clients are named once in the whole policy, whichever file they stand in; revisions agree.
- A role, a route or an audience that is named exists; a near miss is suggested.
- Where the policy has ``roles``, every client says which are its own: nothing is held or lost by silence.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ott_extauthz.documents.located import Path
from ott_extauthz.documents.problems import Problem
from ott_extauthz.policy.document.client import taken
from ott_extauthz.policy.document.parts import Entry, Part, RouteEntry


def name_problems(parts: Sequence[Part], routes: Sequence[RouteEntry], clients: Sequence[Entry]) -> Iterator[Problem]:
    """Yield every name that stands twice or means nothing."""
    yield from _sections(parts)
    yield from _doubles([(route, ("name",), route.data.get("name")) for route in routes], "has this name too")
    yield from _doubles([(client, (), _identity(client)) for client in clients], "is known by the same")
    roles = roles_of(parts)
    yield from _roles(roles, routes, clients, has_section=any(part.section("roles") is not None for part in parts))
    names = sorted({name for route in routes if isinstance(name := route.data.get("name"), str)})
    audiences = sorted({name for route in routes if isinstance(name := route.data.get("audience"), str)})
    for client in clients:
        yield from _unknown_patterns(client, "routes", names)
        yield from _unknown_patterns(client, "audiences", audiences)


def roles_of(parts: Sequence[Part]) -> dict[str, frozenset[str]]:
    """Return the scopes of every role that can be read."""
    return {
        name: frozenset(scope for scope in scopes if isinstance(scope, str))
        for part in parts
        if isinstance(section := part.section("roles"), dict)
        for name, scopes in section.items()
        if isinstance(scopes, list)
    }


def _sections(parts: Sequence[Part]) -> Iterator[Problem]:
    if not any(part.section("routes") is not None for part in parts):
        for part in parts[:1]:
            yield part.located.problem(("routes",), "required: a policy without routes refuses everything")
    revision: tuple[Part, str] | None = None
    defined: dict[str, Part] = {}
    for part in parts:
        written = part.section("revision")
        if isinstance(written, str):
            revision = revision or (part, written)
            if written != revision[1]:
                message = f"{revision[0].located.source} has another revision; write it once, or the same everywhere"
                yield part.located.problem(("revision",), message)
        roles = part.section("roles")
        for name in roles if isinstance(roles, dict) else ():
            if defined.setdefault(name, part) is not part:
                yield part.located.problem(("roles", name), f"{defined[name].located.source} has this role too")


def _doubles(entries: Iterable[tuple[Entry, Path, Any]], message: str) -> Iterator[Problem]:
    first: dict[Any, Entry] = {}
    for entry, path, name in entries:
        if isinstance(name, str | tuple) and name and first.setdefault(name, entry) is not entry:
            yield entry.problem(path, f"{first[name].seen_from(entry)} {message}")


def _identity(client: Entry) -> tuple[str, ...]:
    digests = client.data.get("sha256")
    parts = [client.data.get("client_id"), client.data.get("spiffe_id")]
    sha256 = [digests] if isinstance(digests, str) else digests if isinstance(digests, list) else []
    texts = [*parts, *sorted(text.replace(":", "").lower() for text in sha256 if isinstance(text, str))]
    return tuple(text if isinstance(text, str) else "" for text in texts) if any(texts) else ()


def _roles(
    roles: dict[str, frozenset[str]], routes: Sequence[RouteEntry], clients: Sequence[Entry], *, has_section: bool
) -> Iterator[Problem]:
    for entry in (*routes, *clients):
        named = entry.data.get("roles")
        for index, role in enumerate(named if isinstance(named, list) else ()):
            if isinstance(role, str) and role not in roles:
                yield entry.problem(("roles", index), f"no such role{_near(role, roles)}")
    for client in clients:
        if has_section and "roles" not in client.data:
            yield client.problem(("roles",), "required where the policy has roles; [] grants no scope")
    if not clients:
        for route in routes:
            if "roles" in route.data:
                yield route.problem(("roles",), "the policy has no clients, so nobody has a role")


def _unknown_patterns(client: Entry, key: str, values: list[str]) -> Iterator[Problem]:
    rule = client.data.get("may_call")
    patterns = rule.get(key) if isinstance(rule, dict) else None
    for index, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
        if isinstance(pattern, str) and not taken([pattern], values):
            yield client.problem(("may_call", key, index), f"takes no {key[:-1]}{_near(pattern, values)}")


def _near(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
