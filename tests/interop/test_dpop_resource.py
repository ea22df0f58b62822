"""Foreign DPoP clients, unchanged, at a resource behind a real Envoy; and what one gets who recorded their calls."""

import hashlib
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.authn.dpop import DPOP_ALGORITHMS
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder
from ott_extauthz.model.token import TokenKind
from tests.e2e.rig import Answer
from tests.e2e.upstream import Upstream
from tests.fakes.certificates import Authority, Leaf
from tests.fakes.issuing import file_ring
from tests.interop.conftest import Answered, Client, running
from tests.interop.protected import HOST, NONCE_LIFE_MS, Protected, protected

pytestmark = pytest.mark.e2e

DEBIT, READ = "/v1/wallets/w-17/debit", "/v1/wallets/w-17"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"
ASKED = {"resource": HOST, "scope": "wallet:debit wallet:read"}
CHALLENGE = f'DPoP realm="{HOST}", error="%s", algs="{" ".join(DPOP_ALGORITHMS)}"'


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream().running() as found:
        yield found


@pytest.fixture
async def resource(tmp_path: Path, authority: Authority, envoy: Path, upstream: Upstream) -> AsyncIterator[Protected]:
    async with protected(tmp_path, authority, envoy, upstream) as found:
        yield found


@pytest.mark.parametrize("script", ["oauth4webapi.mjs", "openid-client.mjs"])
async def test_a_client_learns_the_nonces_calls_and_is_not_copied(
    script: str, node: str, resource: Protected, rgs: Leaf
) -> None:
    async with running(node, script) as program:
        client = Client(program, resource.bank)

        async def calls(method: str, path: str, algorithm: str, **job: Any) -> Answered:
            job = {"url": f"https://{HOST}{path}?page=1", "method": method, "parameters": ASKED} | job
            answer = await client.does("resource", rgs, dpop=algorithm, hosts=resource.hosts, **job)
            assert answer.error is None, answer
            return answer

        once = await calls("POST", DEBIT, "ES256")
        assert once.statuses == [400, 200, 401, 200, 401]  # the token's nonce, the resource's, and the recorded call
        assert "invalid_token" in once.result["again"]["challenge"]
        for algorithm in ("Ed25519", "RS256"):
            parameters = ASKED | {"requested_token_type": ACCESS}
            many = await calls("GET", READ, algorithm, count=3, parameters=parameters)
            assert many.statuses == [400, 200, 401, 200, 200, 200, 401]  # one refusal, then the nonce is kept
            assert many.result["again"]["challenge"].startswith(CHALLENGE % "invalid_dpop_proof")


# --- joserfc signs, and every byte of the call is ours


class Holder:
    """Holds a key and a token bound to it and to a certificate."""

    def __init__(self, resource: Protected, leaf: Leaf) -> None:
        self.resource, self.leaf, self.key = resource, leaf, ECKey.generate_key("P-256")

    async def token(self, **changes: Any) -> str:
        bank = self.resource.bank
        rings = {DEFAULT_RING: file_ring(bank.folder / "keys")}
        minter = Minter(issuer=bank.url, rings=rings, clock=bank.clock, entropy=secrets.token_bytes)
        order: dict[str, Any] = {
            "kind": TokenKind.ACCESS,
            "subject": "player-7",
            "client_id": "rgs",
            "audience": HOST,
            "scope": frozenset({"wallet:read", "wallet:debit"}),
            "lifetime_ms": 120_000,
            "jkt": decoded(self.key.thumbprint()),
            "thumbprint": self.leaf.sha256,
        }
        return (await minter.mint([MintOrder(**(order | changes))]))[0]

    def proof(self, token: str, nonce: str | None, **changes: Any) -> str:
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.as_dict(private=False)}
        claims = {
            "jti": secrets.token_urlsafe(16),
            "htm": "GET",
            "htu": f"https://{HOST}{READ}",
            "iat": self.resource.clock.now_ms() // 1000,
            "ath": encoded(hashlib.sha256(token.encode()).digest()),
            "nonce": nonce,
        } | changes
        return jwt.encode(header, {name: value for name, value in claims.items() if value is not None}, self.key)

    async def read(self, token: str, *proofs: str, scheme: str = "DPoP", leaf: Leaf | None = None) -> Answer:
        headers = [("authorization", f"{scheme} {token}"), *(("dpop", proof) for proof in proofs)]
        return await self.resource.call("GET", READ, headers, leaf or self.leaf)

    async def nonce(self, token: str) -> str:
        asked = await self.read(token, self.proof(token, None))
        assert asked.outcome == (401, "dpop_nonce_required")
        assert asked.reply.all("www-authenticate") == [CHALLENGE % "use_dpop_nonce"]
        (found,) = asked.reply.all("dpop-nonce")
        return found


async def test_what_reaches_the_service_and_what_comes_back(resource: Protected, rgs: Leaf) -> None:
    holder = Holder(resource, rgs)
    token = await holder.token()
    resource.clock.offset_ms += NONCE_LIFE_MS - resource.clock.now_ms() % NONCE_LIFE_MS  # to a new nonce's first moment
    nonce = await holder.nonce(token)
    answer = await holder.read(token, holder.proof(token, nonce))
    assert (answer.outcome, answer.reply.all("dpop-nonce")) == ((200, None), [])
    assert not {"authorization", "dpop"} & answer.delivery.names
    assert answer.delivery.all("x-ott-subject") == ["player-7"]
    resource.clock.offset_ms += NONCE_LIFE_MS  # the nonce runs out: it is taken, and the next one comes with the answer
    answer = await holder.read(token, holder.proof(token, nonce))
    (following,) = answer.reply.all("dpop-nonce")
    assert (answer.status, following != nonce) == (200, True)
    resource.clock.offset_ms += NONCE_LIFE_MS
    late = await holder.read(token, holder.proof(token, nonce))
    assert late.outcome == (401, "dpop_nonce_required")
    assert (await holder.read(token, holder.proof(token, following))).status == 200


async def test_what_an_attacker_may_try(resource: Protected, rgs: Leaf, wallet: Leaf) -> None:
    holder, thief = Holder(resource, rgs), Holder(resource, rgs)
    token, other = await holder.token(), await holder.token()
    nonce = await holder.nonce(token)
    good = holder.proof(token, nonce)
    for proofs, outcome in (
        ((), (401, "dpop_proof_missing")),
        ((thief.proof(token, nonce),), (401, "dpop_key_mismatch")),
        ((good, good), (400, "header_duplicated")),
        ((f"{good},{good}",), (401, "dpop_proof_invalid")),
        ((holder.proof(other, nonce),), (401, "dpop_proof_invalid")),
        ((holder.proof(token, nonce, htu=f"http://{HOST}{READ}"),), (401, "dpop_proof_invalid")),
        ((holder.proof(token, nonce, htm="POST"),), (401, "dpop_proof_invalid")),
    ):
        answer = await holder.read(token, *proofs)
        assert (answer.outcome, answer.deliveries) == (outcome, [])
    assert (await holder.read(token, good, leaf=wallet)).outcome == (401, "certificate_mismatch")
    downgraded = await holder.read(token, good, scheme="Bearer")
    assert downgraded.outcome == (401, "credential_scheme_refused")
    assert downgraded.reply.all("www-authenticate") == [
        f'Bearer realm="{HOST}", error="invalid_token"',
        f'DPoP realm="{HOST}", algs="{" ".join(DPOP_ALGORITHMS)}"',
    ]
    assert [(await holder.read(token, good)).outcome for _ in range(2)] == [(200, None), (401, "dpop_proof_replayed")]
    certified = await holder.token(jkt=None)
    assert (await holder.read(certified, scheme="Bearer")).status == 200
