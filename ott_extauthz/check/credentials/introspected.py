"""Is this an access token that its issuer must be asked about, and does the answer make it good here (RFC 7662)?

- A token is shown to its own issuer alone: one that is no JWT to the one whose prefix it has, a JWT to the one that it
  names, where that one is always asked; among those whose tokens the route takes.
- What proves itself, and what nobody can be asked about, is judged as an access token that was signed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ott_extauthz.authn.introspection import AnswerRules, Introspected, issuer_of_jwt, unsendable
from ott_extauthz.authn.paseto import is_paseto
from ott_extauthz.check.attempt import Attempt
from ott_extauthz.check.callers import caller_of
from ott_extauthz.check.credentials.credential import LookUp
from ott_extauthz.check.credentials.tokens import Believed
from ott_extauthz.check.introspecting import Answer, Introspector, question_key
from ott_extauthz.model.facts import Peer
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.routes import Asks


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedIssuer:
    """An issuer that is asked about its tokens: which they are, who asks, and how the answers are read."""

    prefix: str
    is_always_asked: bool
    introspector: Introspector
    rules: AnswerRules

    def has(self, text: str, named: str | None) -> bool:
        """Whether a token is this issuer's; ``named`` is whom it names as its issuer, None for one that is no JWT."""
        if named is None:
            return text.startswith(self.prefix)
        return self.is_always_asked and named == self.rules.issuer


@dataclass(frozen=True, slots=True)
class AskedTokens:
    """The access tokens that somebody is asked about."""

    issuers: Sequence[AskedIssuer] = ()

    def believed(self, text: str, asks: Asks, peer: Peer, attempt: Attempt) -> Believed | None:
        """Return the token, a refusal, or whom to ask for ``peer``; None where nobody is asked about such a token.

        An opaque token is not encrypted: on a route that asks for that, it is for others to refuse.
        """
        issuer = None if attempt.found_route.encrypted else self._issuer_of(text, asks)
        return None if issuer is None else _believed(text, issuer, peer, attempt)

    def jwt_believed(self, text: str, asks: Asks, peer: Peer, attempt: Attempt) -> Believed | None:
        """Return the same of what was in an envelope: a JWT, or nobody is asked about it."""
        issuer = None if not self.issuers or issuer_of_jwt(text) is None else self._issuer_of(text, asks)
        return None if issuer is None else _believed(text, issuer, peer, attempt)

    def _issuer_of(self, text: str, asks: Asks) -> AskedIssuer | None:
        if not self.issuers or is_paseto(text):  # a PASETO proves itself
            return None
        named = issuer_of_jwt(text)
        found = [
            each
            for each in self.issuers
            if (asks.issuers is None or each.rules.issuer in asks.issuers) and each.has(text, named)
        ]
        # Two would be a token that is shown to an issuer it is not of; `config check` refuses what could come to that.
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked about a token; it shows nothing of it."""

    introspector: Introspector = field(repr=False)
    key: bytes = field(repr=False)
    text: str = field(repr=False)
    caller: str

    async def __call__(self, seconds: float) -> Answer:
        return await self.introspector.ask(self.key, self.text, seconds, self.caller)


def _believed(text: str, issuer: AskedIssuer, peer: Peer, attempt: Attempt) -> Believed:
    unfit = unsendable(text)
    if unfit is not None:
        return Rejection(unfit)
    key = question_key(issuer.rules.issuer, text)
    if key not in attempt.answers:
        return LookUp(key=key, ask=_Question(issuer.introspector, key, text, caller_of(peer)))
    answer = attempt.answers[key]
    if not isinstance(answer, Introspected):
        return Rejection(Reason.INTROSPECTION_UNAVAILABLE, detail=str(answer))
    audience = attempt.found_route.audience
    return issuer.rules.token(text, answer, audience=audience, now_ms=attempt.now_ms)
