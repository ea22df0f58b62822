"""What if the token is old, forged, or of another region?  None passes, and none costs a good token."""

from dataclasses import replace
from typing import Final

from nacl.bindings import crypto_sign_ed25519_sk_to_pk

from ott_extauthz.drills import forging
from ott_extauthz.drills.conduct import Conduct
from ott_extauthz.drills.drill import Drill, Look
from ott_extauthz.drills.forging import Parts
from ott_extauthz.drills.ground_files import OVERSEAS
from ott_extauthz.drills.outcome import PASSES, refused
from ott_extauthz.model.reason import Reason
from ott_extauthz.stores.signing import Ed25519Signer

_MANDATE_FOR_US: Final = [{"type": "mandate", "region": ["US"]}]


async def _expired(conduct: Conduct) -> None:
    ground, signer = conduct.ground, conduct.ground.signer()
    old = await ground.forge.token(signer, age=40.0)
    await conduct.see("a token that ended 10 s ago", ground.debit(old), refused(Reason.TOKEN_EXPIRED))
    await conduct.see("the same again", ground.debit(old), refused(Reason.TOKEN_EXPIRED))
    endless = await ground.forge.token(signer, life=86_400.0)
    await conduct.see("a token for a whole day", ground.debit(endless), refused(Reason.TOKEN_LIFETIME_TOO_LONG))
    await conduct.see("a fresh token", ground.debit(await ground.token()), PASSES)


async def _signatures(conduct: Conduct) -> None:
    ground, signer = conduct.ground, conduct.ground.signer()
    good, other = await ground.token(), await ground.token()
    swapped = str(replace(Parts.of(good), signature=Parts.of(other).signature))
    invalid = refused(Reason.TOKEN_SIGNATURE_INVALID)
    await conduct.see("the signature of another good token", ground.debit(swapped), invalid)
    wider = forging.with_claims(good, scope="wallet:debit wallet:admin")
    await conduct.see("one more scope under the old signature", ground.debit(wider), invalid)
    impostor = await ground.forge.token(forging.stranger(signer.kid))
    await conduct.see("another key under the issuer's kid", ground.debit(impostor), invalid)
    unknown = await ground.forge.token(forging.stranger("k-of-nobody"))
    await conduct.see("another key under a kid of its own", ground.debit(unknown), refused(Reason.TOKEN_KEY_UNKNOWN))
    refuses_algorithm = refused(Reason.TOKEN_ALGORITHM_REFUSED)
    confused = forging.under_shared_secret(good, _public_key(signer))
    await conduct.see("HS256, the public key for a secret", ground.debit(confused), refuses_algorithm)
    await conduct.see("alg: none", ground.debit(forging.unprotected(good)), refuses_algorithm)
    await conduct.see("the good token itself: no forgery cost it", ground.debit(good), PASSES)


def _public_key(signer: object) -> bytes:
    if not isinstance(signer, Ed25519Signer):
        raise TypeError("the demo's ring has an Ed25519 key")
    return crypto_sign_ed25519_sk_to_pk(signer.secret)


async def _region(conduct: Conduct) -> None:
    ground, signer = conduct.ground, conduct.ground.signer()
    abroad = await ground.forge.token(signer, region=["US"])
    denied = refused(Reason.REGION_DENIED)
    await conduct.see("a token for the US, at a server in the EU", ground.debit(abroad), denied)
    mandate = await ground.forge.token(signer, authorization_details=_MANDATE_FOR_US)
    await conduct.see("the same said by a mandate in it", ground.debit(mandate), denied)
    await conduct.see("the first at a server in the US", ground.debit(abroad, through=OVERSEAS), PASSES)
    here = await ground.forge.token(signer, region=["EU"])
    await conduct.see("a token for the EU there", ground.debit(here, through=OVERSEAS), denied)
    await conduct.see("and at home", ground.debit(here), PASSES)


DRILLS: Final = (
    Drill(
        name="expired", title="Expired tokens", run=_expired,
        look=Look(
            metric='ott_denials_total{reason="token_expired"}', log="audit: reason token_expired",
            alerts=("OttExpiredShareGrowing",),
        ),
    ),
    Drill(
        name="signatures", title="Swapped and forged signatures", run=_signatures,
        look=Look(
            metric='ott_denials_total{reason="token_signature_invalid"}', log="audit: reason token_signature_invalid",
            alerts=("OttAuthFailureSurge",),
        ),
    ),
    Drill(
        name="region", title="A token for another region", run=_region,
        look=Look(
            metric='ott_denials_total{reason="region_denied"}', log="audit: reason region_denied, detail",
            alerts=("OttClientDeniedMore",),
        ),
    ),
)  # fmt: skip
