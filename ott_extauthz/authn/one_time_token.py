"""Is this a one-time token, which the used-list may then spend?"""

from dataclasses import dataclass
from typing import ClassVar

from ott_extauthz.authn.signed_token import SignedTokenVerifier
from ott_extauthz.model.token import TokenKind


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimeTokenVerifier(SignedTokenVerifier):
    """Verifies one-time tokens."""

    kind: ClassVar[TokenKind] = TokenKind.ONE_TIME
