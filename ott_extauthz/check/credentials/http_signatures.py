"""Which partner signed this request by HTTP message signatures (RFC 9421)?  The facts, as its verifier wants them.

The authority is the canonical host: lower case, without the scheme's own port.  Path and query are as Envoy reports
them, which is what the upstream gets; a partner signs them as Envoy's normalisation leaves them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ott_extauthz.authn.http_signatures.message import Message
from ott_extauthz.authn.http_signatures.offered import INPUT_HEADER, SIGNATURE_HEADER
from ott_extauthz.authn.http_signatures.signing import DIGEST_HEADER
from ott_extauthz.authn.http_signatures.verifying import Signed, Wanted, verified
from ott_extauthz.authn.partners import Partner, SignatureForm
from ott_extauthz.check.credentials.request_verifier import RequestVerifier, SignedBy, SignedRequest
from ott_extauthz.model.body import whole_of
from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection

_CARRIERS: Final = (SIGNATURE_HEADER, INPUT_HEADER)


@dataclass(frozen=True, slots=True)
class HttpSignatureVerifier:
    """Verifies HTTP message signatures."""

    def is_presented(self, headers: Headers) -> bool:
        """Whether one of the two headers is there: half a signature is one that does not hold."""
        return any(name in headers for name in _CARRIERS)

    def verified(self, candidates: Sequence[Partner], request: SignedRequest) -> SignedBy | Rejection:
        """Return who signed enough of the request, or the first reason why nobody did."""
        content = whole_of(request.facts.body, may_be_unseen=request.may_be_unseen)
        if isinstance(content, Reason):
            return Rejection(content)
        wanted = Wanted(components=request.terms.components, tag=request.terms.tag)
        signed = verified(_message(request), content, candidates, wanted)
        return signed if isinstance(signed, Rejection) else _signed_by(signed)


def _message(request: SignedRequest) -> Message:
    facts = request.facts
    return Message(
        method=facts.method,
        scheme=facts.scheme,
        authority=request.target.host,
        target=facts.path,
        headers=facts.headers,
    )


def _signed_by(signed: Signed) -> SignedBy:
    """Return it; a header of which one member alone is covered says more than was signed."""
    headers = (each for each in signed.components if not each.name.startswith("@"))
    covered = frozenset(each.name for each in headers if "key" not in each.parameter)
    return SignedBy(
        partner=signed.partner,
        name=signed.name,
        signed_at_ms=signed.created_ms,
        covered=covered,
        covers_body=DIGEST_HEADER in covered,
        carriers=_CARRIERS,
        until_ms=signed.until_ms,
    )


HTTP_SIGNATURES: Final[dict[SignatureForm, RequestVerifier]] = {SignatureForm.HTTP_SIGNATURES: HttpSignatureVerifier()}
"""The verifier of this form."""
