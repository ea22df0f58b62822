"""What if the used-list is lost, or shared by several?  A token stays good for one call, wherever it is tried."""

import asyncio
from typing import Final

from ott_extauthz.drills.conduct import Conduct
from ott_extauthz.drills.drill import Drill, Look
from ott_extauthz.drills.ground import Ground, Sent
from ott_extauthz.drills.ground_files import FIRST, SECOND
from ott_extauthz.drills.outcome import PASSES, Outcome, refused, token_state
from ott_extauthz.model.reason import Reason

_AT_ONCE: Final = 16
_NOT_SPENT: Final = ("unspent", "unknown")


async def _replica(conduct: Conduct) -> None:
    ground = conduct.ground
    token = await ground.token()
    replayed = refused(Reason.TOKEN_REPLAYED)
    await conduct.see("a fresh token at the first replica", ground.debit(token), PASSES)
    await conduct.see("the same at the second", ground.debit(token, through=SECOND), replayed)
    await conduct.see("and at the first", ground.debit(token), replayed)
    token = await ground.token()
    sent = await asyncio.gather(
        *(ground.debit(token, through=(FIRST, SECOND)[number % 2]) for number in range(_AT_ONCE))
    )
    passed = sum(Outcome.of(one.reply).passed for one in sent)
    came = sum(ground.deliveries[one.case] for one in sent)
    did = f"one token {_AT_ONCE} times at once, at both"
    conduct.note(did, "1 passes, 1 arrives", f"{passed} passes, {came} arrives")


async def _lost(conduct: Conduct) -> None:
    ground, store = conduct.ground, conduct.ground.store
    if store is None:
        raise RuntimeError("a drill that needs a store was run without one")
    spent, held = await ground.token(), await ground.token()
    await conduct.see("a token is spent", ground.debit(spent), PASSES)
    await store.kill()
    try:
        reply = await conduct.see(
            "the store is killed; a fresh token", ground.debit(held), refused(Reason.STORE_UNAVAILABLE)
        )
        state = token_state(reply)
        conduct.note("token_state in that answer", "not spent", "not spent" if state in _NOT_SPENT else state)
        no_scope = await ground.token("wallet:read")
        await conduct.see("what the policy refuses", ground.debit(no_scope), refused(Reason.SCOPE_MISSING))
        await conduct.see("what needs no token", ground.health(), PASSES)
    finally:
        await store.start()
    await _recovered(conduct, ground)
    fenced = refused(Reason.STORE_EPOCH)
    await conduct.see("the spent one where it was spent", ground.debit(spent), refused(Reason.TOKEN_REPLAYED))
    await conduct.see("the spent one at the other replica", ground.debit(spent, through=SECOND), fenced)
    await conduct.see("the one that was held", ground.debit(held), fenced)


async def _recovered(conduct: Conduct, ground: Ground) -> None:
    for replica in (FIRST, SECOND):

        async def mint_anew(replica: str = replica) -> Sent:
            return await ground.debit(await ground.token(), through=replica)

        await conduct.soon(f"it starts empty; new tokens at the {replica}", mint_anew, PASSES)


DRILLS: Final = (
    Drill(
        name="replica", title="A replay at another replica", run=_replica, needs_store=True,
        look=Look(
            metric="ott_replays_total", log="audit: reason token_replayed, first_at, first_decision_id",
            alerts=("OttReplaySeen",),
        ),
    ),
    Drill(
        name="store", title="The store is lost with all its data", run=_lost, needs_store=True,
        look=Look(
            metric='ott_denials_total{reason="store_epoch"}', log='log: "store not ready"; audit: store_unavailable',
            alerts=("OttStoreDown", "OttStoreServerDown", "OttStoreErrors", "OttFenceMoved"),
        ),
    ),
)  # fmt: skip
