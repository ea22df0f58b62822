"""Which grant types does the issuer have?  Built from what it was started with."""

from collections.abc import Mapping
from functools import partial

from ott_extauthz.bootstrap.issuer_inputs import IssuerInputs
from ott_extauthz.issuer.exchange import TOKEN_EXCHANGE, TokenExchange
from ott_extauthz.issuer.grants import CLIENT_CREDENTIALS, ClientCredentials, Grant
from ott_extauthz.issuer.own_keys import own_issuer
from ott_extauthz.issuer.subject_tokens import ForeignRules, SubjectTokens
from ott_extauthz.ports import Entropy, KeyRing
from ott_extauthz.sections.trusted_issuers import SubjectIssuer


def grants_of(
    inputs: IssuerInputs, rings: Mapping[str, KeyRing], *, iat_lead_ms: int, entropy: Entropy
) -> dict[str, Grant]:
    """Return them by their ``grant_type``; tokens of our own are known by the keys of ``rings``."""
    url, lifetime_ms = inputs.settings.url, inputs.settings.lifetime
    tokens = SubjectTokens(
        own=partial(own_issuer, url, rings),
        trust=inputs.subject_trust,
        rules={entry.issuer: _rules(entry) for entry in inputs.settings.subject_issuers},
        iat_lead_ms=iat_lead_ms,
    )
    exchange = TokenExchange(
        issuer=url, tokens=tokens, clients=inputs.clients, lifetime_ms=lifetime_ms, entropy=entropy
    )
    return {
        CLIENT_CREDENTIALS: ClientCredentials(lifetime_ms=lifetime_ms, entropy=entropy),
        TOKEN_EXCHANGE: exchange,
    }


def _rules(entry: SubjectIssuer) -> ForeignRules:
    return ForeignRules(
        audience=entry.audience,
        token_types=frozenset(entry.token_types),
        limits_scope=entry.limits_scope,
        prefix=entry.subject_prefix,
    )
