"""Who spent a token first?  Left with the use in the used-list, and shown when the token comes again."""

from dataclasses import dataclass

import msgspec

from ott_extauthz.model.facts import Thumbprint


class _Witness(msgspec.Struct, frozen=True, array_like=True):
    decision_id: str
    route: str
    peer_certificate: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSpender:
    """The decision that spent a token; ``at_ms`` is on the used-list's clock.

    A decision's id and a route's name are bounded by their grammars (32 and 63 characters), so that the whole stays
    below the 256 bytes a use may leave behind.
    """

    at_ms: int
    decision_id: str
    route: str
    peer_certificate: Thumbprint | None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Witness).decode


def witness_of(decision_id: str, route: str, peer_certificate: Thumbprint | None) -> bytes:
    """Return what a spend leaves behind; nothing in it is secret."""
    return _encode(_Witness(decision_id, route, peer_certificate or b""))


def first_spender(at_ms: int, witness: bytes) -> FirstSpender | None:
    """Read what a first use left behind; None where it is not ours to read (another version, a foreign write)."""
    try:
        found = _decode(witness)
    except msgspec.DecodeError:
        return None
    certificate = Thumbprint(found.peer_certificate) if found.peer_certificate else None
    return FirstSpender(at_ms=at_ms, decision_id=found.decision_id, route=found.route, peer_certificate=certificate)
