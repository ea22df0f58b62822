"""Does this client know its secret?  ``client_secret_basic`` (RFC 6749 §2.3.1), where it was switched on."""

from collections.abc import Mapping
from dataclasses import dataclass

from ott_extauthz.issuer.attempt import Attempt
from ott_extauthz.issuer.client import Client, Method
from ott_extauthz.issuer.client_secret import NOBODYS, SecretHashes
from ott_extauthz.issuer.mutual_tls import in_force
from ott_extauthz.issuer.oauth_error import OAuthError
from ott_extauthz.issuer.request import Requester, TokenRequest


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """Compares secrets with their hashes; for an unknown client with nobody's, which takes as long."""

    secrets: Mapping[str, SecretHashes]

    async def prove(self, attempt: Attempt, client: Client | None, request: TokenRequest) -> Requester | OAuthError:
        """Return the client, if the secret is its own."""
        hashes = self.secrets.get(attempt.client_id or "", NOBODYS)
        matches = hashes.match(attempt.secret)
        if not matches or client is None or client.authentication is not Method.CLIENT_SECRET_BASIC:
            return attempt.refusal
        certificate = in_force(request)
        return Requester(client=client, certificate=certificate and certificate.nameless)
