"""May this client have this token?  A token request judged (RFC 6749 §4.4 and §5.2, RFC 8705 §2, RFC 8707 §2).

The order, each step refusing on its own:
  1. the form: no parameter twice; a parameter without a value is as if it were not there (RFC 6749 §3.2)
  2. the grant type
  3. the client: its ``client_id`` and its certificate, and no second way of authenticating
  4. the resource: exactly one, and one of the client's audiences
  5. the scope: within the client's grant, or refused; never trimmed
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ott_extauthz.issuer.certificate import PresentedCertificate
from ott_extauthz.issuer.clients import AudienceGrant, Client, Clients
from ott_extauthz.issuer.minter import MintOrder
from ott_extauthz.issuer.oauth_error import OAuthError, OAuthErrorCode

CLIENT_CREDENTIALS: Final = "client_credentials"

Form = Mapping[str, Sequence[str]]
"""A decoded form: each name with every value it came with, in order."""

_OTHER_CREDENTIALS: Final = frozenset({"client_secret", "client_assertion", "client_assertion_type"})
_REPEATABLE: Final = "resource"  # RFC 8707 §2 allows several; this server answers for one at a time
_UNAUTHENTICATED: Final = OAuthError(OAuthErrorCode.INVALID_CLIENT, "client authentication failed", 401)
_NO_CERTIFICATE: Final = OAuthError(
    OAuthErrorCode.INVALID_CLIENT, "client authentication failed: no TLS client certificate was presented", 401
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """Judges ``client_credentials`` requests; ``lifetime_ms`` is for audiences that name none."""

    clients: Clients
    lifetime_ms: int

    def judge(self, form: Form, certificate: PresentedCertificate | None, *, now_ms: int) -> MintOrder | OAuthError:
        """Return the order for a token bound to ``certificate``, or the refusal."""
        fault = _form_fault(form) or _grant_type_fault(form)
        if fault is not None:
            return fault
        if certificate is None:
            return _NO_CERTIFICATE
        client = self._authenticated(form, certificate, now_ms)
        if isinstance(client, OAuthError):
            return client
        audience = _audience(form, client)
        if isinstance(audience, OAuthError):
            return audience
        grant = client.audiences[audience]
        scope = _scope(form, client, grant)
        if isinstance(scope, OAuthError):
            return scope
        return MintOrder(
            # A workload's own name where it has one, so that `bound_to: [workload]` outlives certificate rotation.
            subject=certificate.spiffe_id or client.client_id,
            client_id=client.client_id,
            audience=audience,
            scope=scope,
            lifetime_ms=grant.lifetime_ms(self.lifetime_ms),
            thumbprint=certificate.sha256,
        )

    def _authenticated(self, form: Form, certificate: PresentedCertificate, now_ms: int) -> Client | OAuthError:
        """RFC 8705 §2: ``client_id`` is required and must go with the certificate.  No answer tells which was wrong."""
        client_ids = _values(form, "client_id")
        if not client_ids:
            return _invalid_request("client_id is missing")
        client = self.clients.get(client_ids[0])
        if client is None or not certificate.is_sound or not client.certificate.matches(certificate):
            return _UNAUTHENTICATED
        # TLS looked at the dates once; a connection kept alive, or resumed, may outlive its certificate.
        return client if now_ms < certificate.not_after_ms else _UNAUTHENTICATED


def _values(form: Form, name: str) -> list[str]:
    return [value for value in form.get(name, ()) if value]


def _form_fault(form: Form) -> OAuthError | None:
    if any(len(values) > 1 for name, values in form.items() if name != _REPEATABLE):
        return _invalid_request("a parameter stands twice")
    if any(_values(form, name) for name in _OTHER_CREDENTIALS):
        return _invalid_request("clients authenticate with their TLS certificate and nothing else")
    return None


def _grant_type_fault(form: Form) -> OAuthError | None:
    grant_types = _values(form, "grant_type")
    if not grant_types:
        return _invalid_request("grant_type is missing")
    if grant_types != [CLIENT_CREDENTIALS]:
        return OAuthError(OAuthErrorCode.UNSUPPORTED_GRANT_TYPE, "this server has client_credentials only")
    return None


def _audience(form: Form, client: Client) -> str | OAuthError:
    """Return an audience of the client by its exact name: RFC 8707 has URIs, ours is any name in ``clients.yaml``."""
    resources = _values(form, _REPEATABLE)
    if len(resources) != 1 or resources[0] not in client.audiences:
        description = "exactly one resource, and one that this client is configured for"
        return OAuthError(OAuthErrorCode.INVALID_TARGET, description, client_id=client.client_id)
    return resources[0]


def _scope(form: Form, client: Client, grant: AudienceGrant) -> frozenset[str] | OAuthError:
    granted = frozenset(grant.scopes)
    values = _values(form, "scope")
    asked = frozenset(values[0].split(" ")) if values else granted
    if not asked <= granted:
        description = "the scope is malformed, or wider than this client has for the resource"
        return OAuthError(OAuthErrorCode.INVALID_SCOPE, description, client_id=client.client_id)
    return asked


def _invalid_request(description: str) -> OAuthError:
    return OAuthError(OAuthErrorCode.INVALID_REQUEST, description)
