"""Who signed ``timestamp "." nonce "." body``?  The HMAC form (`X-Signature: sha256=…`) and the EdDSA form (`eddsa=…`).

- Nothing tells the three parts apart but two dots.  A nonce with a dot would let one signature stand for two messages:
  ("n.x", "y") and ("n", "x.y") are the same bytes.  So a nonce has none, and the timestamp is digits: the first dot
  ends the timestamp, the second the nonce, and all the rest is the body.
- A nonce has at least 16 characters, so that these contents are never those of Standard Webhooks (id, timestamp,
  body), whose timestamp, in the place of our nonce, has 12 digits at most.
- The word before the signature chooses the kind of key; a public key is never taken for a shared secret.
- Method, path and headers are not signed: what keeps a message from being sent to another route is its nonce.
"""

import re
from typing import Final, NamedTuple

from ott_extauthz.authn.padded_base64 import decoded, encoded
from ott_extauthz.authn.partners import KeyAlgorithm, SignatureForm
from ott_extauthz.authn.webhooks.message import (
    HeaderLines,
    OfferedSignature,
    SignedMessage,
    instant_ms,
    malformed,
    only_values,
)
from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection

SIGNATURE: Final = "x-signature"
TIMESTAMP: Final = "x-timestamp"
NONCE: Final = "x-nonce"

_NONCE: Final = re.compile(r"[A-Za-z0-9_~+/=:-]{16,128}", re.ASCII)


class _Scheme(NamedTuple):
    word: str
    algorithm: KeyAlgorithm
    signature_bytes: int


_SCHEMES: Final = {
    SignatureForm.HMAC: _Scheme("sha256", KeyAlgorithm.HMAC_SHA256, 32),
    SignatureForm.EDDSA: _Scheme("eddsa", KeyAlgorithm.ED25519, 64),
}
_FORMS: Final = {scheme.word: form for form, scheme in _SCHEMES.items()}


def is_nonce(text: str) -> bool:
    """Whether a nonce keeps to the grammar: 16 to 128 characters, none of them a dot or a comma."""
    return _NONCE.fullmatch(text) is not None


def stamped_content(timestamp: str, nonce: str, body: bytes) -> bytes:
    """Return what both forms sign; ``timestamp`` is unix seconds in digits.

    Raises:
        ValueError: timestamp or nonce break their grammar, so that the content could be read in two ways.
    """
    if instant_ms(timestamp) is None or not is_nonce(nonce):
        raise ValueError("a timestamp is digits, a nonce 16 to 128 characters without a dot")
    return _preamble(timestamp, nonce) + body


def stamped_headers(form: SignatureForm, timestamp: str, nonce: str, signature: bytes) -> HeaderLines:
    """Return the headers that carry a signature; ``form`` is HMAC or EDDSA."""
    return (
        (SIGNATURE, f"{_SCHEMES[form].word}={encoded(signature)}"),
        (TIMESTAMP, timestamp),
        (NONCE, nonce),
    )


def is_stamped(form: SignatureForm, headers: Headers) -> bool:
    """Whether a request brings a signature of this form, good or bad; one of no form that we know counts as HMAC."""
    return any(_FORMS.get(value.partition("=")[0], SignatureForm.HMAC) is form for value in headers.get(SIGNATURE, ()))


def stamped_message(form: SignatureForm, headers: Headers) -> SignedMessage | Rejection:
    """Return what the headers say was signed in this form, or why they say nothing that counts."""
    found = only_values(headers, SIGNATURE, TIMESTAMP, NONCE)
    if isinstance(found, Rejection):
        return found
    signature, timestamp, nonce = found
    scheme = _SCHEMES[form]
    word, _, text = signature.partition("=")
    if word != scheme.word:
        return Rejection(Reason.CREDENTIAL_SCHEME_REFUSED, detail=SIGNATURE)
    value, signed_at_ms = decoded(text), instant_ms(timestamp)
    if value is None or len(value) != scheme.signature_bytes:
        return malformed(SIGNATURE)
    if signed_at_ms is None:
        return malformed(TIMESTAMP)
    if not is_nonce(nonce):
        return malformed(NONCE)
    return SignedMessage(
        preamble=_preamble(timestamp, nonce),
        signatures=(OfferedSignature(algorithm=scheme.algorithm, value=value),),
        signed_at_ms=signed_at_ms,
        name=nonce,
        carriers=(SIGNATURE,),
        covered=frozenset({TIMESTAMP, NONCE}),
    )


def _preamble(timestamp: str, nonce: str) -> bytes:
    return f"{timestamp}.{nonce}.".encode("ascii")
