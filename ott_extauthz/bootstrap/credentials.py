"""Which credentials can this server judge?  Each kind with what its judgement starts from."""

from ott_extauthz.authn.access_token import AccessTokenVerifier
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
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

    one_time = OneTimeTokenVerifier(
        trust=issuers_for(CredentialKind.ONE_TIME_TOKEN, settings.trust, sources.trust),
        iat_lead_ms=bounds.iat_lead,
        exp_leeway_ms=bounds.exp_leeway,
    )
    mandates = AccessTokenVerifier(
        trust=issuers_for(CredentialKind.MANDATE, settings.trust, sources.trust),
        iat_lead_ms=bounds.iat_lead,
        exp_leeway_ms=bounds.exp_leeway,
    )
    access = access_tokens(settings.trust, sources.trust, bounds)
    warn_before_ms = settings.api_keys.warn_before if settings.api_keys else 0
    return Credentials(
        {
            CredentialKind.ONE_TIME_TOKEN: token(one_time.verify),
            CredentialKind.MANDATE: token(mandates.verify_mandate),
            CredentialKind.ACCESS_TOKEN: AccessTokenCredential(
                verify=access.verify,
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
