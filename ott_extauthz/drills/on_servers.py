"""What if a Check server is gone, cannot write its audit, or is handed a broken policy?  The door stays closed."""

from typing import Final

from ott_extauthz.drills.conduct import Conduct
from ott_extauthz.drills.drill import Drill, Look
from ott_extauthz.drills.ground import Sent
from ott_extauthz.drills.ground_files import FULL, SECOND
from ott_extauthz.drills.measured import total
from ott_extauthz.drills.outcome import CLOSED_BY_ENVOY, PASSES, refused, token_state
from ott_extauthz.model.reason import Reason

_REFUSED_RELOADS: Final = 'ott_policy_reloads_total{result="refused"}'
_BROKEN: Final = "revision: [this is not a policy\n"
_WIDE_OPEN: Final = """
revision: "wide-open"
routes:
  - {name: everything, match: {path: "/**"}, credential: one_time_token, audience: wallet.api, bound_to: []}
"""
"""A route that binds tokens to nobody, without the words that accept the risk."""


async def _audit(conduct: Conduct) -> None:
    ground = conduct.ground
    token = await ground.token()
    lost = refused(Reason.AUDIT_UNAVAILABLE)
    reply = await conduct.see("a good token, where the audit's disk is full", ground.debit(token, through=FULL), lost)
    conduct.note("token_state in that answer", "spent", token_state(reply))
    if ground.store is not None:
        await conduct.see("the same where it is not full", ground.debit(token), refused(Reason.TOKEN_REPLAYED))
    await conduct.see("a fresh token there", ground.debit(await ground.token()), PASSES)


async def _no_server(conduct: Conduct) -> None:
    ground = conduct.ground
    token = await ground.token()
    await ground.second.kill()
    try:
        did = "a good token, the Check server behind its gateway killed"
        await conduct.see(did, ground.debit(token, through=SECOND), CLOSED_BY_ENVOY)
        await conduct.see("a call without one", ground.debit(None, through=SECOND), CLOSED_BY_ENVOY)
        await conduct.see("the token at the other gateway", ground.debit(token), PASSES)
    finally:
        await ground.restart_second()

    async def mint_anew() -> Sent:
        return await ground.debit(await ground.token(), through=SECOND)

    await conduct.soon("the server is started again", mint_anew, PASSES)


async def _policy(conduct: Conduct) -> None:
    ground = conduct.ground
    policy = ground.folder / "policy.yaml"
    good = policy.read_text(encoding="utf-8")

    async def refuse(content: str, did: str) -> None:
        before = total(await ground.metrics(), _REFUSED_RELOADS)
        policy.write_text(content, encoding="utf-8")

        async def is_refused() -> bool:
            return total(await ground.metrics(), _REFUSED_RELOADS) >= before + len(ground.servers)

        await conduct.until(f"{did}: every server refuses it", is_refused)

    try:
        for content, did in ((_BROKEN, "a file that is no YAML"), (_WIDE_OPEN, "a route that binds nobody")):
            await refuse(content, did)
            await conduct.see("a good token under the old policy", ground.debit(await ground.token()), PASSES)
            elsewhere = ground.debit(await ground.token(), target="/v1/admin")
            await conduct.see("what the old policy does not know", elsewhere, refused(Reason.ROUTE_UNKNOWN))
    finally:
        policy.write_text(good, encoding="utf-8")


DRILLS: Final = (
    Drill(
        name="audit", title="The audit cannot be written", run=_audit,
        look=Look(
            metric="ott_audit_failures_total", log="Envoy's access log: reason audit_unavailable",
            alerts=("OttAuditFailing",),
        ),
    ),
    Drill(
        name="policy", title="A policy that does not load", run=_policy,
        look=Look(
            metric=_REFUSED_RELOADS, log='log: "change refused …", and "problem" with its place; /readyz?verbose',
            alerts=("OttChangeRefused",),
        ),
    ),
    Drill(
        name="no-server", title="Envoy without its Check server", run=_no_server,
        look=Look(
            metric='envoy_http_ext_authz_error{envoy_ext_authz_prefix="ott"}',
            log="Envoy's access log: details ext_authz_error",
            alerts=("OttEnvoyChecksFail",),
        ),
    ),
)  # fmt: skip
