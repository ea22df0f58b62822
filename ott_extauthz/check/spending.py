"""Which attempt to spend is this?  Its nonce, and the witness it leaves behind.

A fresh nonce makes every Check an attempt of its own: whatever comes a second time is a replay.  On a route with a
reservation the nonce is derived from the request instead, so that Envoy asking twice about one request (a second
ext_authz filter in the chain, a retried RPC) is one spend:

    SHA-256 over the length-framed source address and port, http.id, request.time, the token's digest,
    the peer's principal and certificate, method, host and path

No client controls the first three: http.id is Envoy's stream id.  x-request-id is never among them, and there is no
salt of this process, or another replica would take the repeat for a replay.  The store accepts the same nonce again for
``ports.OWN_WRITE_MS`` only.  Not covered, and refused: an internal redirect (another http.id), a gateway and then a
sidecar (everything differs), a client's own retry.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ott_extauthz.check.credentials.credential import Verified
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.framing import framed
from ott_extauthz.model.once import Once
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.replay import witness_of
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.policy.routes import Route
from ott_extauthz.ports import Charge, Entropy

NONCE_BYTES: Final = 16
_REPEATING: Final = (
    "x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-max-retries", "x-envoy-retriable-status-codes", "x-envoy-retriable-header-names",
)  # fmt: skip
"""What Envoy's router takes from a caller that it counts as internal, and takes off for every other one before us.

With ``retriable-status-codes`` or ``retriable-headers`` it sends again what had been done.  The last three need no
other beside them where the route has retries of its own: they make few many, and of failures whatever the caller likes.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A request that nothing refuses but, perhaps, the used-list: the caller first, then what came beside it."""

    facts: Facts
    route: Route
    proven: tuple[Verified, ...]
    charges: tuple[tuple[Charge, ...], ...]

    @property
    def token(self) -> VerifiedToken:
        """The caller's."""
        return self.proven[0].token

    @property
    def once(self) -> list[Once]:
        """Everything that may not come again but the tokens."""
        return [once for verified in self.proven for once in verified.once]

    @property
    def would_be_repeated(self) -> bool:
        """Whether the caller has Envoy deliver several times what is spent, or charged, here once."""
        is_counted = bool(self.once) or any(self.charges) or any(one.token.is_for_one_use for one in self.proven)
        return is_counted and any(name in self.facts.headers for name in _REPEATING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """One attempt to spend one verified token; what may come once beside it goes by the same nonce."""

    token: VerifiedToken
    nonce: bytes = field(repr=False)
    witness: bytes = field(repr=False)
    charges: tuple[Charge, ...] = ()


def each_counter_once(charges: Sequence[tuple[Charge, ...]]) -> tuple[tuple[Charge, ...], ...] | Rejection:
    """Return the charges of several tokens, the caller's first, without a second one of the same counter.

    Two tokens that were made from one mandate draw on its counters, and a call is one call: it is charged with the
    first of them, as the narrower one has it.  Two rates of different periods cannot be one charge, and are refused.
    """
    known: dict[bytes, Charge] = {}
    for charge in (each for of_token in charges for each in of_token):
        one = _as_one(known.get(charge.key, charge), charge)
        if one is None:
            return Rejection(Reason.CREDENTIAL_DUPLICATED, detail="all_of: one mandate's counter at two rates")
        known[charge.key] = one
    return tuple(tuple(known.pop(charge.key) for charge in of_token if charge.key in known) for of_token in charges)


def _as_one(one: Charge, other: Charge) -> Charge | None:
    if (one.kind, one.cost, one.period_ms) != (other.kind, other.cost, other.period_ms):
        return None
    return replace(
        one,
        limit=min(one.limit, other.limit),
        since_ms=min(one.since_ms, other.since_ms),
        keep_until_ms=max(one.keep_until_ms, other.keep_until_ms),
    )


def spendings(ready: Ready, decision_id: str, entropy: Entropy) -> list[Spending]:
    """Return the attempts that this Check is, one for each token; the caller's comes last."""
    facts, route = ready.facts, ready.route
    certificate = facts.peer.certificate
    witness = witness_of(decision_id, route.name, None if isinstance(certificate, Reason) else certificate)
    is_named = route.reservation and _has_a_name(facts)
    return [
        Spending(
            token=verified.token,
            nonce=_of_the_request(verified.token, facts) if is_named else entropy(NONCE_BYTES),
            witness=witness,
            charges=charges,
        )
        for verified, charges in zip(reversed(ready.proven), reversed(ready.charges), strict=True)
    ]


def _has_a_name(facts: Facts) -> bool:
    """Whether Envoy said enough to tell this request from every other; else every Check is its own attempt."""
    return bool(facts.stream_id and facts.started_at_us and facts.peer.address and facts.peer.port)


def _of_the_request(token: VerifiedToken, facts: Facts) -> bytes:
    certificate = facts.peer.certificate
    parts = (
        facts.peer.address,
        str(facts.peer.port),
        facts.stream_id,
        str(facts.started_at_us),
        token.digest.hex(),
        facts.peer.principal,
        "" if isinstance(certificate, Reason) else certificate.hex(),
        facts.method,
        facts.host,
        facts.path,
    )
    return hashlib.sha256(framed(*parts)).digest()[:NONCE_BYTES]
