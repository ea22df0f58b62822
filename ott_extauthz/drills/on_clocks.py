"""What if a clock is wrong?  Within the bounds nothing happens, beyond them nobody passes."""

from typing import Final

from ott_extauthz.drills.conduct import Conduct
from ott_extauthz.drills.drill import Drill, Look
from ott_extauthz.drills.ground import Ground, Sent
from ott_extauthz.drills.ground_files import OVERSEAS
from ott_extauthz.drills.measured import total
from ott_extauthz.drills.outcome import PASSES, refused
from ott_extauthz.model.reason import Reason

_FAR_MS: Final = 5_000
_OFFSET: Final = "ott_store_clock_offset_seconds"
_LEAD: Final = 0.4
"""Seconds; `clock.iat_lead` is half a second."""


async def _issuers(conduct: Conduct) -> None:
    ground, signer = conduct.ground, conduct.ground.signer()
    future = await ground.forge.token(signer, age=-60.0)
    await conduct.see(
        "a token of an issuer one minute ahead", ground.debit(future), refused(Reason.TOKEN_NOT_YET_VALID)
    )
    ahead = await ground.forge.token(signer, age=-_LEAD)
    await conduct.see("0.4 s ahead: within iat_lead", ground.debit(ahead), PASSES)

    async def just_over() -> Sent:
        return await ground.debit(await ground.forge.token(signer, age=1.5, life=1.0))

    # On a machine that is busy the call may come after the leeway: then once more.
    await conduct.soon("a token that ended half a second ago: within exp_leeway", just_over, PASSES)
    behind = await ground.forge.token(signer, age=60.0)
    await conduct.see("a token of an issuer one minute behind", ground.debit(behind), refused(Reason.TOKEN_EXPIRED))


async def _servers(conduct: Conduct) -> None:
    ground, clock = conduct.ground, conduct.ground.clock
    token = await ground.token()
    try:
        clock.ahead_ms = -_FAR_MS
        early = refused(Reason.TOKEN_NOT_YET_VALID)
        await conduct.see("a server 5 s behind", ground.debit(token, through=OVERSEAS), early)
        clock.ahead_ms = _FAR_MS
        off = refused(Reason.STORE_CLOCK)
        await conduct.see("a server 5 s ahead of its store", ground.debit(token, through=OVERSEAS), off)
        await conduct.until(f"{_OFFSET} says by how much", lambda: _is_told(ground))
    finally:
        clock.ahead_ms = 0
    await conduct.see("put right: the token was not spent", ground.debit(token, through=OVERSEAS), PASSES)


async def _is_told(ground: Ground) -> bool:
    return abs(total(await ground.metrics(), _OFFSET)) * 1000 > _FAR_MS / 2


DRILLS: Final = (
    Drill(
        name="issuer-clock", title="The issuer's clock is off", run=_issuers,
        look=Look(
            metric='ott_denials_total{reason="token_not_yet_valid"}', log="audit: reason token_not_yet_valid",
            alerts=("OttAuthFailureSurge",),
        ),
    ),
    Drill(
        name="server-clock", title="A Check server's clock is off", run=_servers, needs_store=True,
        look=Look(
            metric='ott_denials_total{reason="store_clock"}',
            log='log: "store not ready"; audit: reason store_clock',
            alerts=("OttStoreClockOff",),
        ),
    ),
)  # fmt: skip
