"""May this request leave, and with what?  The steps of a route that attaches, after the route is found.

  1. direction    Envoy says that the request leaves; one that came in never gets a token or a signature of ours
  2. conditions   the route's own, over the request alone
  3. request      what the token names of it, or the signature covers: of a body only one that Envoy says is whole
  4. attach       a token, fresh, for this workload, within what is left of the deadline; or a signature
                  (:mod:`ott_extauthz.check.signing_out`)
  5. allow        with its headers set; everything in our family that the workload sent, and its signatures, removed

Whose workload it is, is not asked of the request: one server stands beside one workload, and its source of tokens was
configured for that one.  Nothing is spent here, and a request that gets nothing attached does not leave.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ott_extauthz.authn.compact import unverified_from
from ott_extauthz.check.signing_out import LeavingSigned, Signatures, sent_signatures, signed_leaving_from
from ott_extauthz.check.single_use import MINIMUM_BUDGET_SECONDS
from ott_extauthz.model.decision import Attached, AttachedToken
from ott_extauthz.model.facts import Facts, spoofed
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import TokenId, public_token_id
from ott_extauthz.policy.asked import Outgoing
from ott_extauthz.policy.constraints.bound_request import digest_of
from ott_extauthz.policy.holding import unheld_outgoing
from ott_extauthz.policy.limits import Bound
from ott_extauthz.policy.routes import Attachment, Route
from ott_extauthz.policy.target import other_readings
from ott_extauthz.ports import Clock, MintedToken, TokenSourceError, TokenWanted

DIRECTION_EXTENSION: Final = "ott.direction"
"""The key of Envoy's ``context_extensions`` that says which way a request goes; the operator's word, no client's."""

OUTBOUND: Final = "outbound"
ANSWER_SECONDS: Final = 0.02
"""Kept back from the deadline, so that a refusal reaches Envoy before Envoy gives up."""

_DETAIL_CHARACTERS: Final = 200


class Tokens(Protocol):
    """Hands out tokens of the local workload, each of them once."""

    async def take(self, wanted: TokenWanted) -> MintedToken:
        """Return a token that nobody was given before; it may be cancelled while it waits.

        Raises:
            TokenSourceError: there is none.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """A request that nothing keeps from leaving but, perhaps, the source of tokens."""

    facts: Facts
    route: Route
    attachment: Attachment
    wanted: TokenWanted


def leaving_from(route: Route, outgoing: Outgoing) -> Leaving | LeavingSigned | Rejection:
    """Go as far as one can without a token or a key: steps 1 to 3."""
    # Without it a caller from outside who writes another service's name into Host would pass an attaching route.
    if outgoing.facts.context_extensions.get(DIRECTION_EXTENSION) != OUTBOUND:
        return Rejection(Reason.NOT_OUTBOUND)
    refused = unheld_outgoing(route.name, route.rules, outgoing)
    if refused is not None:
        return refused
    if route.signing is not None:
        return signed_leaving_from(route, route.signing, outgoing)
    attachment = route.attachment
    assert attachment is not None  # noqa: S101 - an attaching route that does not sign has one
    wanted = _wanted(attachment, outgoing, may_be_unseen=route.limits.allow_unbuffered_empty)
    if isinstance(wanted, Rejection):
        return wanted
    return Leaving(facts=outgoing.facts, route=route, attachment=attachment, wanted=wanted)


def _wanted(attachment: Attachment, outgoing: Outgoing, *, may_be_unseen: bool) -> TokenWanted | Rejection:
    bound, digest = attachment.bound_to_request, None
    if Bound.PATH in bound and other_readings(outgoing.target):  # the receiver would find one of them another path
        return Rejection(Reason.PATH_AMBIGUOUS, detail="htp")
    if Bound.BODY in bound:
        found = digest_of(outgoing.facts.body, may_be_unseen=may_be_unseen)
        if isinstance(found, Reason):
            return Rejection(found, detail="digest")
        digest = found
    return TokenWanted(
        audience=attachment.audience,
        scope=attachment.scope,
        htm=outgoing.facts.method if Bound.METHOD in bound else None,
        htp=outgoing.target.path if Bound.PATH in bound else None,
        digest=digest,
    )


def unwanted(leaving: Leaving | LeavingSigned) -> tuple[str, ...]:
    """Return what the workload sent that must not leave: our own family, and signatures where we sign."""
    of_signatures = sent_signatures(leaving.facts) if isinstance(leaving, LeavingSigned) else ()
    return (*spoofed(leaving.facts), *of_signatures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attaching:
    """Takes tokens for requests that leave, within what is left of the caller's deadline, or has them signed."""

    clock: Clock
    tokens: Tokens | None = None
    signatures: Signatures | None = None

    async def attach(self, leaving: Leaving | LeavingSigned, *, deadline: float) -> Attached | Rejection:
        """Return what goes along; ``deadline`` is an instant of the monotonic clock, in seconds."""
        left = deadline - self.clock.monotonic() - ANSWER_SECONDS
        if left < MINIMUM_BUDGET_SECONDS:
            return Rejection(Reason.DEADLINE_TOO_NEAR)
        attached = self._signed(leaving) if isinstance(leaving, LeavingSigned) else await self._token(leaving, left)
        if self.clock.monotonic() >= deadline:  # Envoy has given up, and nobody will send this
            return Rejection(Reason.DEADLINE_TOO_NEAR)
        return attached

    def _signed(self, leaving: LeavingSigned) -> Attached | Rejection:
        if self.signatures is None:
            return Rejection(Reason.SIGNING_KEY_UNAVAILABLE, detail="ott.yaml has no attach.signing_keys")
        return self.signatures.sign(leaving)

    async def _token(self, leaving: Leaving, seconds: float) -> AttachedToken | Rejection:
        if self.tokens is None:
            return Rejection(Reason.TOKEN_SOURCE_REFUSED, detail="ott.yaml has no attach.issuer and no client_id")
        try:
            async with asyncio.timeout(seconds):
                token = await self.tokens.take(leaving.wanted)
        except TimeoutError:
            return Rejection(Reason.TOKEN_SOURCE_UNAVAILABLE, detail="no token in time")
        except TokenSourceError as error:
            reason = Reason.TOKEN_SOURCE_REFUSED if error.is_lasting else Reason.TOKEN_SOURCE_UNAVAILABLE
            return Rejection(reason, detail=str(error)[:_DETAIL_CHARACTERS])
        return _attached(token, leaving.attachment)


def _attached(token: MintedToken, attachment: Attachment) -> AttachedToken:
    claims = _claims(token.text)
    issuer, jti, confirmation = claims.get("iss"), claims.get("jti"), claims.get("cnf")
    is_named = isinstance(issuer, str) and isinstance(jti, str)
    certificate = confirmation.get("x5t#S256") if isinstance(confirmation, dict) else None
    return AttachedToken(
        text=token.text,
        header=attachment.header,
        scheme=attachment.scheme,
        audience=attachment.audience,
        public_id=public_token_id(TokenId(str(issuer), str(jti)).digest) if is_named else None,
        certificate=certificate if isinstance(certificate, str) else None,
    )


def _claims(text: str) -> dict[str, Any]:
    """Return what the token says of itself; its issuer's word is enough, for nothing here depends on it."""
    token = unverified_from(text)
    return {} if isinstance(token, Reason) else token.claims  # an encrypted one says nothing
