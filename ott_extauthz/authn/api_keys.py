"""Whose API key is this, and does it still hold?

An id that nobody has and a secret that is another's get one answer, after the same work: which ids there are is told
to nobody.  Only who has the secret learns that the key's time is over.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ott_extauthz.authn.api_key_form import digest_of, id_in
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.mandate import Constraints
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import Confirmation, TokenId, TokenKind, VerifiedToken

ISSUER: Final = "api-keys"
"""What stands for the issuer of every key: no token can have it, for an issuer in `trust` has its tokens signed."""

_NOBODYS: Final = bytes(32)
"""No one knows a text whose SHA-256 is all zeros."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is kept: its hash, whose it is, what it may do, from where, and until when.

    ``expires_at_ms`` is the first instant at which it is good no more.  None of ``cidr``, ``brands`` is any.
    """

    id: str
    digest: bytes = field(repr=False)
    client_id: str
    scopes: frozenset[str] = frozenset()
    created_at_ms: int
    expires_at_ms: int
    limits: Constraints | None = None
    certificate: Thumbprint | None = None
    note: str | None = None

    def is_expired(self, now_ms: int) -> bool:
        """Whether its time is over."""
        return now_ms >= self.expires_at_ms


ApiKeys = Mapping[str, ApiKey]
"""The keys by their ids."""


def api_keys_of(keys: Iterable[ApiKey]) -> ApiKeys:
    """Return the keys by their ids."""
    return {key.id: key for key in keys}


def key_behind(text: str, keys: ApiKeys, now_ms: int) -> ApiKey | Rejection:
    """Return the key that ``text`` is, or the first reason why it is none that holds."""
    id_ = id_in(text)
    if id_ is None:
        return Rejection(Reason.API_KEY_MALFORMED)
    key = keys.get(id_)
    is_its_secret = hmac.compare_digest(digest_of(text), _NOBODYS if key is None else key.digest)
    if key is None or not is_its_secret:
        return Rejection(Reason.API_KEY_UNKNOWN)
    return Rejection(Reason.API_KEY_EXPIRED) if key.is_expired(now_ms) else key


def token_of(key: ApiKey, audience: str) -> VerifiedToken:
    """Return what stands for a token where a key proved the caller; its client is its subject, too.

    Keys of one client are one account: a second key does not double a rate.
    """
    id_ = TokenId(ISSUER, key.id)
    return VerifiedToken(
        kind=TokenKind.API_KEY,
        id=id_,
        digest=id_.digest,
        subject=key.client_id,
        client_id=key.client_id,
        audience=audience,
        issued_at_ms=key.created_at_ms,
        expires_at_ms=key.expires_at_ms,
        not_before_ms=None,
        confirmation=Confirmation(x5t_s256=key.certificate),
        scope=key.scopes,
        txn=None,
        auth_time_ms=None,
        restrictions=(),
        mandates=() if key.limits is None else (key.limits,),
    )
