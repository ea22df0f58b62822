"""Which credentials can this server judge?  Each kind with what its judgement starts from."""

from ott_extauthz.authn.access_token import AccessTokenVerifier
from ott_extauthz.authn.keys import IssuersFor
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.authn.paseto_token import EitherFormat, PasetoAccessVerifier, PasetoOneTimeVerifier
from ott_extauthz.authn.verified_payload import EnvoysWord
from ott_extauthz.bootstrap.access_tokens import access_tokens, issuers_for
from ott_extauthz.bootstrap.introspection import Introspectors
from ott_extauthz.bootstrap.proofs import possession_from
from ott_extauthz.bootstrap.reloading import Sources
from ott_extauthz.check.credentials.access_tokens import AccessTokenCredential
from ott_extauthz.check.credentials.api_keys import ApiKeyCredential
from ott_extauthz.check.credentials.certificates import CertificateCredential
from ott_extauthz.check.credentials.combining import Credentials
from ott_extauthz.check.credentials.http_signatures import HTTP_SIGNATURES
from ott_extauthz.check.credentials.introspected import AskedTokens
from ott_extauthz.check.credentials.signed_requests import SignedRequestCredential
from ott_extauthz.check.credentials.tokens import TokenCredential, Verify
from ott_extauthz.check.credentials.webhooks import WEBHOOKS
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.settings import Settings


def credentials_from(
    settings: Settings, sources: Sources, introspectors: Introspectors, *, nonce_secret: bytes | None = None
) -> Credentials:
    """Return every kind of credential, following ``sources``; ``nonce_secret`` is what DPoP nonces are made from."""
    bounds, domains = settings.clock, sources.trust_domains
    said = settings.envoy_payload
    word = EnvoysWord(namespace=said.namespace, payload=said.payload, header=said.header)
    possession = possession_from(settings.dpop, nonce_secret)

    def token(verify: Verify) -> TokenCredential:
        return TokenCredential(verify=verify, unseal=sources.unseal, possession=possession, envoys_word=word)

    one_time, mandate, access = _verifiers(settings, sources)
    warn_before_ms = settings.api_keys.warn_before if settings.api_keys else 0
    return Credentials(
        {
            CredentialKind.ONE_TIME_TOKEN: token(one_time),
            CredentialKind.MANDATE: token(mandate),
            CredentialKind.ACCESS_TOKEN: AccessTokenCredential(
                verify=access,
                unseal=sources.unseal,
                possession=possession,
                envoys_word=word,
                asked=AskedTokens(introspectors.issuers),
            ),
            CredentialKind.API_KEY: ApiKeyCredential(keys=sources.current_api_keys, warn_before_ms=warn_before_ms),
            CredentialKind.SIGNED_REQUEST: SignedRequestCredential(
                partners=sources.partners_now, verifiers={**WEBHOOKS, **HTTP_SIGNATURES}
            ),
            CredentialKind.CERTIFICATE: CertificateCredential(
                max_skew_ms=bounds.max_skew, proves=None if domains is None else domains.proves
            ),
        }
    )


def _verifiers(settings: Settings, sources: Sources) -> tuple[Verify, Verify, Verify]:
    """Return who believes one-time tokens, mandates and access tokens, in both formats."""
    bounds, jws, paseto = settings.clock, settings.trusted("jwt"), settings.trusted("paseto")
    lead, leeway = bounds.iat_lead, bounds.exp_leeway

    def issuers(kind: CredentialKind) -> tuple[IssuersFor, IssuersFor]:
        return issuers_for(kind, jws, sources.trust), issuers_for(kind, paseto, sources.paseto_trust)

    jws_once, paseto_once = issuers(CredentialKind.ONE_TIME_TOKEN)
    jws_mandates, paseto_mandates = issuers(CredentialKind.MANDATE)
    _, paseto_access = issuers(CredentialKind.ACCESS_TOKEN)
    once = OneTimeTokenVerifier(trust=jws_once, iat_lead_ms=lead, exp_leeway_ms=leeway)
    once_as_paseto = PasetoOneTimeVerifier(trust=paseto_once, iat_lead_ms=lead, exp_leeway_ms=leeway)
    mandates = AccessTokenVerifier(trust=jws_mandates, iat_lead_ms=lead, exp_leeway_ms=leeway)
    mandates_as_paseto = PasetoAccessVerifier(trust=paseto_mandates, iat_lead_ms=lead, exp_leeway_ms=leeway)
    access = access_tokens(jws, sources.trust, bounds)
    access_as_paseto = PasetoAccessVerifier(trust=paseto_access, iat_lead_ms=lead, exp_leeway_ms=leeway)
    return (
        EitherFormat(once.verify, once_as_paseto.verify),
        EitherFormat(mandates.verify_mandate, mandates_as_paseto.verify_mandate),
        EitherFormat(access.verify, access_as_paseto.verify),
    )
