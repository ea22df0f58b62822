"""As whom do we ask an issuer about a token (RFC 7662 §2.1)?  Every question is authenticated.

- client_secret_basic: both parts form-encoded before they are joined (RFC 6749 §2.3.1).
- private_key_jwt: an assertion of its own for each question (RFC 7523 §2.2): issuers take each ``jti`` once.
- tls_client_auth: the certificate of the connection says it (RFC 8705 §2.1); the form names the client.
"""

from base64 import b64encode
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import quote_plus

import msgspec

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.ports import Clock, Entropy, Signer
from ott_extauthz.wire.files_in_use import FilesInUse

ASSERTION_LIFE_SECONDS: Final = 60
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_JTI_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Said:
    """What says who we are: headers, and members of the form."""

    headers: dict[str, str]
    form: dict[str, str]

    def __repr__(self) -> str:
        return "Said(…)"


class AsClient(Protocol):
    """Who we are to an issuer."""

    async def said(self) -> Said:
        """Return what goes with one question."""
        ...


@dataclass(frozen=True, slots=True)
class BySecret:
    """A client with a shared secret."""

    client_id: str
    secret: FilesInUse[str]

    async def said(self) -> Said:
        """Return the header."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret.current())}"
        return Said({"Authorization": f"Basic {b64encode(pair.encode('ascii')).decode('ascii')}"}, {})


@dataclass(frozen=True, slots=True)
class ByCertificate:
    """A client that is known by the certificate of its connection."""

    client_id: str

    async def said(self) -> Said:
        """Return the name."""
        return Said({}, {"client_id": self.client_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class ByAssertion:
    """A client that signs who it is; ``kid`` None is the one of the key's own."""

    client_id: str
    audience: str
    kid: str | None
    signer: FilesInUse[Signer]
    clock: Clock
    entropy: Entropy

    async def said(self) -> Said:
        """Return a new assertion.

        Raises:
            SigningError: it cannot be signed.
        """
        signer, now = self.signer.current(), self.clock.now_ms() // 1000
        header = {"alg": signer.algorithm, "kid": self.kid or signer.kid, "typ": "JWT"}
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "jti": encoded(self.entropy(_JTI_BYTES)),
            "iat": now,
            "exp": now + ASSERTION_LIFE_SECONDS,
        }
        text = ".".join(encoded(msgspec.json.encode(part)) for part in (header, claims))
        [signature] = await signer.sign([text.encode("ascii")])
        form = {
            "client_id": self.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": f"{text}.{encoded(signature)}",
        }
        return Said({}, form)
