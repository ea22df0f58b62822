"""What if somebody stands between caller and proxy?  What is captured there is of no use without the caller's key."""

import ssl
from typing import Final

from ott_extauthz.demo.calling import Reply, request_bytes
from ott_extauthz.demo.pki import Authority
from ott_extauthz.drills.conduct import Conduct
from ott_extauthz.drills.drill import Drill, Look
from ott_extauthz.drills.ground import DEBIT, Ground, Sent
from ott_extauthz.drills.ground_files import FIRST
from ott_extauthz.drills.outcome import NO_ANSWER, PASSES, refused
from ott_extauthz.drills.relay import Relay, plainly, relaying
from ott_extauthz.model.reason import Reason


async def _middle(conduct: Conduct) -> None:
    ground = conduct.ground
    async with relaying(ground.gateways[FIRST], _strangers(ground)) as relay:
        did = "the caller meets a relay with a certificate of no authority it knows"
        await conduct.see(did, _through(ground, relay, await ground.token()), NO_ANSWER)
        conduct.note("what that relay saw of the token", "nothing", "the token" if relay.captured else "nothing")
    async with relaying(ground.gateways[FIRST], _insiders(ground)) as relay:
        token = await ground.token()
        relay.context = ssl.create_default_context(cafile=str(ground.folder / "tls" / "ca.pem"))
        did = "it trusts a relay inside; that one goes on without a client certificate"
        await conduct.see(did, _through(ground, relay, token), NO_ANSWER)
        relay.context = ground.callers["thief"]
        mismatch = refused(Reason.CERTIFICATE_MISMATCH)
        await conduct.see("it goes on with a certificate of its own", _through(ground, relay, token), mismatch)
        captured = relay.captured
    forged = ("x-forwarded-client-cert", f"Hash={'0' * 64};URI=spiffe://bank.demo/rgs")
    did = "the captured token, and a forged XFCC header"
    await conduct.see(did, ground.debit(captured, forged, who="thief"), mismatch)
    await conduct.see("the captured token without TLS", _in_plain(ground, captured), NO_ANSWER)
    await conduct.see("its owner, over mTLS: none of it cost the token", ground.debit(captured), PASSES)
    await conduct.see("the relay once more, late", ground.debit(captured, who="thief"), mismatch)


def _server_context(ground: Ground, certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls = ground.folder / "tls"
    context.load_cert_chain(tls / f"{certificate}.pem", tls / f"{certificate}-key.pem")
    return context


def _strangers(ground: Ground) -> ssl.SSLContext:
    Authority("somebody").issue("relay", server=True, ips=("127.0.0.1",)).write(ground.folder / "tls", "stranger")
    return _server_context(ground, "stranger")


def _insiders(ground: Ground) -> ssl.SSLContext:
    """A server's key that was stolen: callers believe it."""
    return _server_context(ground, "gateway")


async def _through(ground: Ground, relay: Relay, token: str) -> Sent:
    return await ground.sent(relay.port, ground.callers["rgs"], "POST", DEBIT, (("x-ott", token),))


async def _in_plain(ground: Ground, token: str) -> Sent:
    headers = (("host", "wallet.api"), ("x-ott", token), ("connection", "close"))
    answer: Reply | None = await plainly(ground.gateways[FIRST], request_bytes("POST", DEBIT, headers, b"{}"))
    return Sent("", answer)


DRILLS: Final = (
    Drill(
        name="middle", title="A man in the middle without the caller's key", run=_middle,
        look=Look(
            metric='ott_denials_total{reason="certificate_mismatch"}',
            log="audit: reason certificate_mismatch, peer_certificate names the thief",
            alerts=("OttTokenOfAnother",),
        ),
    ),
)  # fmt: skip
