"""What Envoy's `jwt_authn` saves us: one token judged with its signature, and with Envoy's word for it."""

import json
import time
from collections.abc import Callable

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.json_format import ParseDict

from bench.tokens import ISSUER, debit, jwks
from ott_extauthz.authn.base64url import decoded
from ott_extauthz.authn.jwks import issuer_from
from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.authn.verified_payload import USUAL_PLACE
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.model.facts import Facts
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.sections.server import ClientCertificate
from ott_extauthz.wire.decode import JWT_AUTHN, facts_from
from ott_extauthz.wire.peer import PeerCertificates

TIMES = 2000
ROUNDS = 7
AUDIENCE = "wallet.api"


def verified_by_envoy() -> None:
    """Print microseconds of CPU for decoding and verifying one Check, both ways, the best of the rounds."""
    plain = debit()
    token = next(
        entry.raw_value.decode()
        for entry in CheckRequest.FromString(plain).attributes.request.http.header_map.headers
        if entry.key == "x-ott"
    )
    told = _told(plain, token)
    verifier = OneTimeTokenVerifier(
        trust={ISSUER: issuer_from(ISSUER, frozenset({"EdDSA"}), jwks())}, iat_lead_ms=500, exp_leeway_ms=2000
    )
    certificates, now_ms = PeerCertificates(ClientCertificate()), SystemClock().now_ms()

    def facts(raw: bytes) -> Facts:
        found = facts_from(CheckRequest.FromString(raw), certificates)
        if not isinstance(found, Facts):
            raise SystemExit("void: a good request was refused")
        return found

    def ours() -> object:
        facts(plain)
        return verifier.verify(token, audience=AUDIENCE, now_ms=now_ms)

    def envoys() -> object:
        check = USUAL_PLACE.on(facts(told).metadata, None)
        return verifier.verify(token, audience=AUDIENCE, now_ms=now_ms, signature=check)

    print(f"decode and verify one token, in process, best of {ROUNDS} rounds:")
    print(f"  signature by us           {_best(ours):6.1f} us")
    print(f"  signature by Envoy        {_best(envoys):6.1f} us")


def _told(plain: bytes, token: str) -> bytes:
    """The same request as it comes when `jwt_authn` stands before us."""
    header, payload, _ = token.split(".")
    members = {"ott_payload": json.loads(decoded(payload) or b""), "ott_header": json.loads(decoded(header) or b"")}
    request = CheckRequest.FromString(plain)
    ParseDict(members, request.attributes.metadata_context.filter_metadata[JWT_AUTHN])
    return bytes(request.SerializeToString())


def _best(judge: Callable[[], object]) -> float:
    if isinstance(judge(), Rejection):
        raise SystemExit("void: a good token was refused")
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(TIMES):
            judge()
        best = min(best, time.process_time() - started)
    return best / TIMES * 1e6


if __name__ == "__main__":
    verified_by_envoy()
