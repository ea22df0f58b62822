"""Who acts for whom?  The ``act`` chain of a token (RFC 8693 §4.1), and who may join it (``may_act``, §4.4).

- The authenticated client is the outermost actor; the chain of the subject token is nested inside, whole.
- ``may_act`` is held member by member, and stays in the token: an exchange never opens what it closed.
- Without an actor a token would be an impersonation.  That is a client's right by ``clients.yaml`` alone, and never for
  a subject token that has an actor or names who may become one.
"""

from collections.abc import Mapping
from typing import Any, Final

from ott_extauthz.authn.fault import ClaimsError, text_from
from ott_extauthz.issuer.request import Requester

MOST_ACTORS: Final = 4
_MOST_MEMBERS: Final = 8

Actor = Mapping[str, Any]


def checked_actors(claims: Mapping[str, Any], name: str) -> Actor:
    """Return the chain in a claim: objects of texts, each with a ``sub``.

    Raises:
        ClaimsError: it is none, or longer than any chain that can still be added to.
    """
    chain: Any = claims[name]
    actor = chain
    for _ in range(MOST_ACTORS):
        if not _is_actor(actor):
            break
        if "act" not in actor:
            return chain  # type: ignore[no-any-return]  # JSON; it was just looked at
        actor = actor["act"]
    raise ClaimsError(name)


def actor_of(requester: Requester) -> dict[str, str]:
    """Return who acts, by the name its own tokens have as ``sub``."""
    client_id = requester.client.client_id
    return {"sub": requester.name} if requester.name == client_id else {"sub": requester.name, "client_id": client_id}


def chain_with(actor: Actor, chain: Actor | None) -> Actor | None:
    """Return the chain with ``actor`` outermost, or None where it would be too long; an actor never follows itself."""
    if chain is None:
        return actor
    if {name: value for name, value in chain.items() if name != "act"} == actor:
        return chain
    longer = {**actor, "act": chain}
    return longer if _depth(longer) <= MOST_ACTORS else None


def may_act(allowed: Mapping[str, Any] | None, requester: Requester, *, issuer: str) -> bool:
    """Whether the client is whom the subject token allows to act; a member that is not known here fits nobody."""
    if allowed is None:
        return True
    client_id = requester.client.client_id
    names = {"sub": (requester.name, client_id), "client_id": (client_id,), "iss": (issuer,)}
    identifies = "sub" in allowed or "client_id" in allowed
    return identifies and all(value in names.get(name, ()) for name, value in allowed.items())


def _is_actor(value: object) -> bool:
    if not isinstance(value, dict) or len(value) > _MOST_MEMBERS or "sub" not in value:
        return False
    return all(_is_text(name) and _is_text(text) for name, text in value.items() if name != "act")


def _is_text(value: object) -> bool:
    """Whether a Check server would read it: a control, or half of a character, makes a token that nobody takes."""
    try:
        return bool(text_from({"act": value}, "act"))
    except ClaimsError:
        return False


def _depth(chain: Actor) -> int:
    return 1 + (_depth(chain["act"]) if "act" in chain else 0)
