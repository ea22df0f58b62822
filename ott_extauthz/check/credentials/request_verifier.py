"""How does one form of signed request prove its sender?  The interface that each form has, whatever it signs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ott_extauthz.authn.partners import Partner
from ott_extauthz.model.facts import Facts, Headers
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.target import CanonicalTarget
from ott_extauthz.policy.terms import SignedRequestTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request that claims to be signed; ``may_be_unseen``: a body that nobody buffered counts as empty."""

    facts: Facts
    target: CanonicalTarget
    terms: SignedRequestTerms
    may_be_unseen: bool
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBy:
    """A signature that holds: whose it is, and what it says.  Its window and its single use are not judged yet.

    ``name`` may come once: a nonce, or (``names_event``) the message's own id, which a sender that tries again signs
    anew.  ``until_ms`` is the end that the signature itself names.  ``covered`` are the headers that are signed, in
    lower case.  ``carriers`` are the headers with the signature, which no upstream sees.
    """

    partner: Partner
    name: str = field(repr=False)
    signed_at_ms: int
    covered: frozenset[str]
    covers_body: bool
    carriers: tuple[str, ...]
    until_ms: int | None = None
    names_event: bool = False


class RequestVerifier(Protocol):
    """Verifies one form."""

    def is_presented(self, headers: Headers) -> bool:
        """Whether a request brings a signature of this form, good or bad."""
        ...

    def verified(self, candidates: Sequence[Partner], request: SignedRequest) -> SignedBy | Rejection:
        """Return who signed, or the first reason why nobody did; ``candidates`` are partners of this form, never none.

        The window (``terms.window_ms``, ``terms.ahead_ms``), the single use of ``name`` and the event are the caller's
        to judge.
        """
        ...
