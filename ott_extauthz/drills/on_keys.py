"""What if a signing key is turned or stolen?  Overlap lets the honest through; what a retired key signs is refused."""

from typing import Final

from ott_extauthz.drills.conduct import Conduct
from ott_extauthz.drills.drill import Drill, Look
from ott_extauthz.drills.ground import Sent
from ott_extauthz.drills.outcome import PASSES, refused
from ott_extauthz.model.reason import Reason


async def _retired(conduct: Conduct) -> None:
    ground = conduct.ground
    stolen = ground.signer()
    held = [await ground.token() for _ in range(2)]
    ground.rotate_now()
    renewed = ground.signer()
    conduct.note("keys rotate --now", "another key signs", _same(stolen.kid, renewed.kid))

    async def with_new_key() -> Sent:
        return await ground.debit(await ground.forge.token(renewed))

    await conduct.soon("a token of the new key, once the servers have looked", with_new_key, PASSES)
    await conduct.see("a token of the old key, in the overlap", ground.debit(held[0]), PASSES)
    ground.retire(stolen.kid)

    async def with_stolen_key() -> Sent:
        return await ground.debit(await ground.forge.token(stolen))

    gone = refused(Reason.TOKEN_KEY_UNKNOWN)
    await conduct.soon("keys retire OLD; who stole that key signs on", with_stolen_key, gone)
    await conduct.see("an unspent token of the old key", ground.debit(held[1]), gone)

    async def from_issuer() -> Sent:
        return await ground.debit(await ground.token())

    await conduct.soon("a token from the issuer", from_issuer, PASSES)


def _same(before: str, after: str) -> str:
    return "the same key signs" if before == after else "another key signs"


DRILLS: Final = (
    Drill(
        name="retired-key", title="A key that is turned, and one that is retired", run=_retired,
        look=Look(
            metric='ott_denials_total{reason="token_key_unknown"}',
            log="audit: reason token_key_unknown; the issuer's audit: event key_changed",
            alerts=("OttUnknownKey",),
        ),
    ),
)  # fmt: skip
