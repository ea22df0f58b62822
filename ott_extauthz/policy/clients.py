"""May this client make this call?  The policy's own list of clients: who they are, their roles, where they may go.

- Without a ``clients`` section any client of a trusted issuer may come; with one, a caller that no entry knows is
  refused on every route that asks for a token.
- An entry knows a caller when all it names holds: the token's ``client_id``, the peer's SPIFFE ID as Envoy verified
  it, the certificate's SHA-256.  Every entry that knows the caller must allow the call: one more never widens.
- A role is a named bundle of scopes.  It takes away and never adds: a scope counts when the token carries it *and* a
  role of the client grants it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ott_extauthz.model.facts import Peer, Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.policy.hosts import patterns_of
from ott_extauthz.policy.routes import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, and which host: what is proven about one request beside its token."""

    client_id: str
    peer: Peer
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MayCall:
    """Where a client may go.  Each of the three that is not None must have the call; routes are meant by name."""

    routes: frozenset[str] | None = None
    audiences: frozenset[str] | None = None
    hosts: frozenset[str] | None = None

    def has(self, route: Route, host: str) -> bool:
        """Whether the call is among those allowed."""
        return (
            (self.routes is None or route.name in self.routes)
            and (self.audiences is None or route.audience in self.audiences)
            and (self.hosts is None or any(pattern in self.hosts for pattern in patterns_of(host)))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One entry.  None of the three names is "any"; ``scopes`` None means that the policy has no roles at all."""

    client_id: str | None = None
    spiffe_id: str | None = None
    certificates: frozenset[Thumbprint] | None = None
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] | None = None
    may_call: MayCall = MayCall()

    def knows(self, caller: Caller) -> bool:
        """Whether everything by which the entry names its client holds for the caller."""
        return (
            (self.client_id is None or self.client_id == caller.client_id)
            and (self.spiffe_id is None or self.spiffe_id == caller.peer.proven_principal)
            and (self.certificates is None or caller.peer.certificate in self.certificates)
        )

    def fault(self, route: Route, host: str) -> Reason | None:
        """Return why the client may not make this call, or None."""
        if not self.may_call.has(route, host):
            return Reason.MAY_CALL_DENIED
        if not route.roles <= self.roles or (self.scopes is not None and not route.scopes <= self.scopes):
            return Reason.ROLE_MISSING
        return None


class ClientList:
    """The policy's clients, found by what they are named by; immutable once built."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self._by_name: dict[str | Thumbprint, list[Client]] = {}
        client_ids: set[str] = set()
        for client in clients:
            if client.client_id is not None:
                client_ids.add(client.client_id)
            for name in _names(client):
                self._by_name.setdefault(name, []).append(client)
        self.client_ids = frozenset(client_ids)

    def fault(self, route: Route, caller: Caller) -> Reason | None:
        """Return the first reason against the call, or None when every entry that knows the caller allows it."""
        known = [client for client in self._candidates(caller) if client.knows(caller)]
        if not known:
            return Reason.CLIENT_DENIED
        faults = (client.fault(route, caller.host) for client in known)
        return next((fault for fault in faults if fault is not None), None)

    def _candidates(self, caller: Caller) -> Iterable[Client]:
        for name in dict.fromkeys((caller.client_id, caller.peer.proven_principal, caller.peer.certificate)):
            yield from self._by_name.get(name, ())


def _names(client: Client) -> Iterable[str | Thumbprint]:
    """Under what an entry is kept: one of its names is enough to find it, for all of them must hold."""
    if client.client_id is not None:
        return (client.client_id,)
    if client.spiffe_id is not None:
        return (client.spiffe_id,)
    if not client.certificates:
        raise ValueError("a client is named by something")
    return client.certificates
