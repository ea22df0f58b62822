"""Which partner signed this webhook?  The three forms that sign a timestamp, a name and the body.

No header names the sender, so every key of every partner that the route takes is tried, in the order of
``partners.yaml``; no two partners share a key, so that at most one fits.  How many that may be is bounded here, since
whoever sends a forged request makes us try them all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from ott_extauthz.authn.partners import MOST_TRIED, Partner, PartnerKey, SignatureForm
from ott_extauthz.authn.webhooks.message import SignedMessage
from ott_extauthz.authn.webhooks.stamped import is_stamped, stamped_message
from ott_extauthz.authn.webhooks.standard import is_standard, standard_message
from ott_extauthz.check.credentials.request_verifier import RequestVerifier, SignedBy, SignedRequest
from ott_extauthz.model.body import whole_of
from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookVerifier:
    """Verifies one form; ``names_event``: what may come once is the event's own name, not that of one sending."""

    is_presented: Callable[[Headers], bool]
    read: Callable[[Headers], SignedMessage | Rejection]
    names_event: bool = False

    def verified(self, candidates: Sequence[Partner], request: SignedRequest) -> SignedBy | Rejection:
        """Return who signed all of the body, or the first reason why nobody did."""
        message = self.read(request.facts.headers)
        if isinstance(message, Rejection):
            return message
        body = whole_of(request.facts.body, may_be_unseen=request.may_be_unseen)
        if isinstance(body, Reason):
            return Rejection(body)
        tried = list(_fitting(candidates, message))
        if not tried or len(tried) > MOST_TRIED:
            return Rejection(Reason.SIGNATURE_KEY_UNKNOWN, detail=f"{len(tried)} keys")
        content = message.preamble + body
        for partner, key, signature in tried:
            if key.verifies(content, signature):
                return self._signed_by(partner, message)
        return Rejection(Reason.SIGNATURE_INVALID)

    def _signed_by(self, partner: Partner, message: SignedMessage) -> SignedBy:
        return SignedBy(
            partner=partner,
            name=message.name,
            signed_at_ms=message.signed_at_ms,
            covered=message.covered,
            covers_body=True,
            carriers=message.carriers,
            names_event=self.names_event,
        )


def _fitting(candidates: Sequence[Partner], message: SignedMessage) -> Iterator[tuple[Partner, PartnerKey, bytes]]:
    """Yield each signature with each key of its own kind: a public key is never tried as a secret."""
    for partner in candidates:
        for key in partner.keys:
            for signature in message.signatures:
                if key.algorithm is signature.algorithm:
                    yield partner, key, signature.value


WEBHOOKS: Final[dict[SignatureForm, RequestVerifier]] = {
    **{
        form: WebhookVerifier(is_presented=partial(is_stamped, form), read=partial(stamped_message, form))
        for form in (SignatureForm.HMAC, SignatureForm.EDDSA)
    },
    SignatureForm.STANDARD_WEBHOOKS: WebhookVerifier(is_presented=is_standard, read=standard_message, names_event=True),
}
"""The verifiers of these forms."""
