"""How are keys shown?  As rows for a listing, and as sentences that say what was done and when the next step comes."""

from collections.abc import Iterator
from datetime import UTC, datetime

from ott_extauthz.issuer.key_change import KeyState
from ott_extauthz.stores.keyring import Keys, RingKey, Rotation
from ott_extauthz.stores.keyring.schedule import due_ms

Row = dict[str, str | None]
_LEAVES = {
    KeyState.NEXT: "signs from {at} on, when verifiers had time to read it",
    KeyState.ACTIVE: "is replaced at {at}",
    KeyState.RETIRING: "signs no more, and stays published until {at}, when its last token has died",
}
_STAYS = {
    KeyState.ACTIVE: "signs, until `ott-extauthz keys rotate`",
    KeyState.RETIRED: "is out of the JWK Set, and its private key is deleted",
}


def rows_of(ring: str, keys: Keys, rotation: Rotation) -> list[Row]:
    """Return a row for each key; ``due`` is when it leaves its state by itself."""
    return [
        {
            "kid": key.kid,
            "algorithm": key.alg,
            "state": key.state,
            "created": _instant(key.made_ms),
            "ring": ring,
            "since": _instant(key.since_ms),
            "due": _due(key, rotation),
        }
        for key in keys
    ]


def told(before: Keys, after: Keys, rotation: Rotation) -> Iterator[str]:
    """Yield what was done to each key that changed, and what is still to come for the others."""
    states = {key.kid: key.state for key in before}
    for key in after:
        if states.get(key.kid) is not key.state:
            yield f"{key.kid} ({key.alg}) is {key.state} now: it {_course(key, rotation)}"
        elif key.state in (KeyState.NEXT, KeyState.RETIRING):
            yield f"{key.kid} ({key.alg}) stays {key.state}: it {_course(key, rotation)}"
    if any(key.state in (KeyState.NEXT, KeyState.RETIRING) for key in after):
        yield "a running issuer takes these steps when they are due; without one, run `ott-extauthz keys rotate` then"


def _course(key: RingKey, rotation: Rotation) -> str:
    due = _due(key, rotation)
    return _STAYS[key.state] if due is None else _LEAVES[key.state].format(at=due)


def _due(key: RingKey, rotation: Rotation) -> str | None:
    due = due_ms(key, rotation)
    return None if due is None else _instant(due)


def _instant(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
