"""Which credentials can this server judge?  Each kind with what its judgement starts from."""

from ott_extauthz.authn.access_token import AccessTokenVerifier
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.bootstrap.reloading import Sources
from ott_extauthz.check.credentials.combining import Credentials
from ott_extauthz.check.credentials.tokens import TokenCredential
from ott_extauthz.policy.routes import CredentialKind
from ott_extauthz.settings import Settings


def credentials_from(settings: Settings, sources: Sources) -> Credentials:
    """Return every kind of credential, following ``sources``."""
    bounds = settings.clock
    one_time = OneTimeTokenVerifier(trust=sources.trust, iat_lead_ms=bounds.iat_lead, exp_leeway_ms=bounds.exp_leeway)
    access = AccessTokenVerifier(trust=sources.trust, iat_lead_ms=bounds.iat_lead, exp_leeway_ms=bounds.exp_leeway)
    return Credentials(
        {
            CredentialKind.ONE_TIME_TOKEN: TokenCredential(verify=one_time.verify, unseal=sources.unseal),
            CredentialKind.MANDATE: TokenCredential(verify=access.verify_mandate, unseal=sources.unseal),
            CredentialKind.ACCESS_TOKEN: TokenCredential(verify=access.verify, unseal=sources.unseal),
        }
    )
