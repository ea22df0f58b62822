"""What does a route's author write about one credential?  The keys of a route, and of each entry of a combination."""

from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from ott_extauthz.policy.document.callers import CertificateRule
from ott_extauthz.policy.document.signed import SignedRequestRule
from ott_extauthz.policy.document.words import CookieName, CredentialHeader, Rule, Scheme, distinct
from ott_extauthz.policy.routes import Asks, BoundTo, CredentialKind, VerifiedBy

CheckedKind = Literal["one_time_token", "mandate", "access_token", "api_key", "signed_request", "certificate"]
CHECKED_KINDS: Final = frozenset(get_args(CheckedKind))
TOKENS: Final = frozenset({"one_time_token", "mandate", "access_token"})
"""The credentials that are tokens: they have an audience, issuers and a binding."""

Binding = Literal["certificate", "workload", "dpop"]

_OWN_HEADERS: Final = {
    CredentialKind.ONE_TIME_TOKEN: "x-ott",
    CredentialKind.API_KEY: "x-api-key",
}


def certificate_only() -> list[Binding]:
    """Return the binding of a route that names none."""
    return ["certificate"]


class FromRule(Rule):
    """Where the credential stands."""

    header: CredentialHeader | None = None
    """The header that carries it; absent = `x-ott` (one-time token), `x-api-key` (API key), `authorization`."""
    scheme: Scheme | None = None
    """The scheme before it, as in `Authorization: Bearer …`; absent = the bare text, or Bearer (with dpop, DPoP)."""
    cookie: CookieName | None = None
    """The cookie that carries an access token instead."""
    keep: bool = False
    """Leave the credential in place, for a second ext_authz filter, or an upstream, to see."""

    @model_validator(mode="after")
    def _authorization_has_a_scheme(self) -> "FromRule":
        if self.header == "authorization" and self.scheme is None:
            raise ValueError("authorization needs a scheme (RFC 9110 §11.6.2); write scheme: Bearer, or DPoP")
        return self

    @model_validator(mode="after")
    def _one_place(self) -> "FromRule":
        if self.cookie is not None and (self.header is not None or self.scheme is not None):
            raise ValueError("either header (and scheme) or cookie: a credential has one place")
        return self

    def place(self, kind: CredentialKind, *, is_proven: bool) -> tuple[str, str | None]:
        """Return header and scheme of a credential of this kind (of some kinds none); ``is_proven``: by DPoP."""
        if kind in (CredentialKind.SIGNED_REQUEST, CredentialKind.CERTIFICATE):
            return "", None
        if self.header is None and kind not in _OWN_HEADERS:
            return "authorization", self.scheme or ("DPoP" if is_proven else "Bearer")
        return self.header or _OWN_HEADERS[kind], self.scheme


class CredentialKeys(Rule):
    """The keys that say more of a credential than what it is."""

    bound_to: Annotated[list[Binding], AfterValidator(distinct)] = Field(default_factory=certificate_only)
    """What a token must be bound to, all of these; `[]` only beside `unbound: accept the risk`."""
    unbound: Literal["accept the risk"] | None = None
    """The operator's word that a token which works for whoever holds it is meant."""
    issuers: Annotated[list[str], Field(min_length=1), AfterValidator(distinct)] | None = None
    """The issuers whose tokens are taken, any of these; absent = all that `trust` has for this kind of token."""
    verified_by: Literal["envoy"] | None = None
    """`envoy`: Envoy's `jwt_authn` has looked at the signature; safe only where that filter covers the route."""
    signed_request: SignedRequestRule = SignedRequestRule()
    """Whose signatures are taken, how old, over what, and where the event is named."""
    certificate: CertificateRule = CertificateRule()
    """Which callers come in by their certificate alone."""
    source: Annotated[FromRule, Field(alias="from")] = FromRule()
    """The place of the credential, where it is not the usual one of its kind."""

    def asks_for(self, credential: str) -> Asks:
        """Return what these keys ask of a credential of this kind, one that is checked."""
        kind, is_token = CredentialKind(credential), credential in TOKENS
        header, scheme = self.source.place(kind, is_proven=is_token and "dpop" in self.bound_to)
        return Asks(
            credential=kind,
            bound_to=frozenset(map(BoundTo, self.bound_to)) if is_token else frozenset(),
            unbound=self.unbound is not None,
            header=header,
            scheme=scheme,
            cookie=self.source.cookie,
            keeps_credential=self.source.keep,
            issuers=None if self.issuers is None else frozenset(self.issuers),
            verified_by=VerifiedBy.ENVOY if self.verified_by else VerifiedBy.US,
            signed=self.signed_request.compiled() if kind is CredentialKind.SIGNED_REQUEST else None,
            callers=self.certificate.compiled() if kind is CredentialKind.CERTIFICATE else None,
        )


class CredentialRule(CredentialKeys):
    """One credential of several: its kind, where it stands, what it must be bound to."""

    credential: CheckedKind
    """What it is."""

    def asks(self) -> Asks:
        """Return the credential as the check wants it."""
        return self.asks_for(self.credential)
