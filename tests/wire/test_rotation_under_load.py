"""50 rotations in a minute while two issuers mint and a Check server checks: no valid token refused, no retired key
accepted.

The minute is the clock's, not the wall's: everybody is told the same time, in steps; `make rotation` does it in real
time, with processes and sockets.
"""

import os
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from ott_extauthz.authn.one_time_token import OneTimeTokenVerifier
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.reloading import Sources, sources_of
from ott_extauthz.issuer.key_change import KeyState
from ott_extauthz.issuer.minter import Minter
from ott_extauthz.issuer.order import DEFAULT_RING, MintOrder
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import VerifiedToken
from ott_extauthz.observe.log import new_logger
from ott_extauthz.observe.metrics import Metrics
from ott_extauthz.observe.reloads import Reloads
from ott_extauthz.ports import Signer
from ott_extauthz.settings import load
from ott_extauthz.stores.keyring import FileRing, Place, Rotation, init_ring, load_ring, retire
from tests.fakes.clock import START_MS, FakeClock
from tests.fakes.issuing import OneKey, Remembering

ISSUER: Final = "https://issuer.bank.example"
LIFE_MS: Final = 1_000
LEEWAY_MS: Final = 100
STEP_MS: Final = 50
POLL_EVERY: Final = 2  # steps; a change is taken when two looks agree
FOLLOWED_AFTER_MS: Final = 3 * POLL_EVERY * STEP_MS
ROTATION: Final = Rotation(every_ms=1_200, publish_before_ms=400, retire_after_ms=LIFE_MS + LEEWAY_MS + STEP_MS)


@dataclass
class Town:
    """Two issuers on one ring, a Check server that follows its JWK Set, and the tokens on their way."""

    place: Place
    clock: FakeClock
    rings: list[FileRing]
    heard: list[Remembering]
    sources: Sources
    under_way: deque[tuple[int, str, str]] = field(default_factory=deque)
    signers: dict[str, Signer] = field(default_factory=dict)
    retired_ms: dict[str, int] = field(default_factory=dict)
    accepted: int = 0
    forged: int = 0

    def verify(self, token: str) -> VerifiedToken | Rejection:
        verifier = OneTimeTokenVerifier(trust=self.sources.trust, iat_lead_ms=0, exp_leeway_ms=LEEWAY_MS)
        return verifier.verify(token, audience="wallet.api", now_ms=self.clock.now_ms())

    async def step(self, number: int) -> None:
        self.clock.advance(STEP_MS)
        ring = self.rings[number % 2]  # they look in turns, so that each signs for a while with what the other replaced
        assert ring.look()
        for one in self.rings:
            self.signers[one.signer.kid] = one.signer
            await self.mint(one)
        if number % POLL_EVERY == 0:
            self.sources.key_sets[0].poll()
            assert self.sources.key_sets[0].in_force.failure is None
        self.check()
        await self.forge()

    async def steps(self, count: int) -> None:
        for number in range(count):
            await self.step(number)

    async def mint(self, ring: FileRing | OneKey) -> str:
        minter = Minter(issuer=ISSUER, rings={DEFAULT_RING: ring}, clock=self.clock, entropy=os.urandom)
        order = MintOrder(
            subject="s", client_id="c", audience="wallet.api", scope=frozenset({"a"}), lifetime_ms=LIFE_MS
        )
        (token,) = await minter.mint([order])
        if isinstance(ring, FileRing):
            self.under_way.append((self.clock.now_ms(), ring.signer.kid, token))
        return token

    def check(self) -> None:
        """Every token is checked as soon as it was minted, and again when it is about to die."""
        for minted_ms, kid, token in self.under_way:
            if minted_ms in (self.clock.now_ms(), self.clock.now_ms() - LIFE_MS):
                found = self.verify(token)
                assert isinstance(found, VerifiedToken), (found, kid, self.clock.now_ms() - minted_ms)
                self.accepted += 1
        while self.under_way and self.under_way[0][0] < self.clock.now_ms() - LIFE_MS:
            self.under_way.popleft()

    async def forge(self) -> None:
        """Whoever kept a copy of a retired key signs with it, fresh tokens with every claim right."""
        for key in self.rings[0].keys:
            if key.state is KeyState.RETIRED:
                self.retired_ms.setdefault(key.kid, key.since_ms)
        for kid, since_ms in list(self.retired_ms.items())[-4:]:
            if self.clock.now_ms() >= since_ms + FOLLOWED_AFTER_MS:
                token = await self.mint(OneKey(self.signers[kid]))
                assert self.verify(token) == Rejection(Reason.TOKEN_KEY_UNKNOWN)
                self.forged += 1


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a busy disk would take most of the time
    clock, place = FakeClock(), Place(directory=tmp_path / "keys")
    init_ring(place, now_ms=clock.now_ms())
    (tmp_path / "policy.yaml").write_text(
        'revision: "r1"\nroutes: [{name: h, match: {path: /h}, credential: public}]\n'
    )
    (tmp_path / "ott.yaml").write_text(
        f"policy: policy.yaml\ntrust: [{{issuer: '{ISSUER}', jwks: keys/jwks.json, algorithms: [EdDSA]}}]\n"
    )
    settings = load(tmp_path / "ott.yaml", {})
    reloads = Reloads(new_logger("error"), Metrics(transport="native"))
    sources = sources_of(
        settings, check_inputs(settings, "ott.yaml"), clock=clock, listener=reloads, on_fault=lambda _: None
    )
    heard = [Remembering(), Remembering()]
    rings = [FileRing(DEFAULT_RING, place, rotation=ROTATION, clock=clock, listener=each) for each in heard]
    return Town(place, clock, rings, heard, sources)


def rotations(heard: Remembering) -> int:
    return sum(change.before is KeyState.ACTIVE for change in heard.key_changes)


async def test_fifty_rotations_in_a_minute_refuse_no_valid_token_and_accept_no_retired_key(town: Town) -> None:
    steps = 60_000 // STEP_MS + 2
    await town.steps(steps)
    assert [rotations(each) for each in town.heard] == [50, 50]
    assert town.accepted > 2 * 2 * (steps - LIFE_MS // STEP_MS - 1)
    assert town.forged > 1_000
    assert [each.ring_failures for each in town.heard] == [[], []]
    assert len(town.signers) == 51
    assert len(list(town.place.directory.glob("signing-*.pem"))) <= 4


async def test_a_verifier_that_follows_too_late_would_be_noticed(town: Town) -> None:
    """Published before use is what keeps the gap away: without it this very test refuses tokens."""
    for ring in town.rings:
        ring._rotation = Rotation(every_ms=1_200, publish_before_ms=0, retire_after_ms=ROTATION.retire_after_ms)
    with pytest.raises(AssertionError, match="token_key_unknown"):
        await town.steps(200)


async def test_a_key_retired_too_early_would_be_noticed(town: Town) -> None:
    for ring in town.rings:
        ring._rotation = Rotation(every_ms=1_200, publish_before_ms=400, retire_after_ms=LIFE_MS // 2)
    with pytest.raises(AssertionError, match="token_key_unknown"):
        await town.steps(200)


async def test_a_compromised_key_is_accepted_by_nobody_once_verifiers_have_looked(town: Town) -> None:
    await town.steps(30)
    compromised = town.rings[0].signer
    retire(town.place, compromised.kid, now_ms=town.clock.now_ms())
    for _ in range(2 * POLL_EVERY):
        town.clock.advance(STEP_MS)
        town.sources.key_sets[0].poll()
    token = await town.mint(OneKey(compromised))
    assert town.verify(token) == Rejection(Reason.TOKEN_KEY_UNKNOWN)
    for ring in town.rings:
        assert ring.look()
        assert isinstance(town.verify(await town.mint(ring)), VerifiedToken), "who was next is known already, or new"


_TURNING = """
import sys
from pathlib import Path
from ott_extauthz.stores.keyring import Place, Rotation, advance
place = Place(directory=Path(sys.argv[1]))
rotation = Rotation(every_ms=1200, publish_before_ms=400, retire_after_ms=1200)
for now_ms in range(int(sys.argv[2]), int(sys.argv[2]) + 60_000, 200):
    advance(place, rotation, now_ms=now_ms, wait_seconds=60)
"""


def test_two_processes_that_turn_one_ring_as_fast_as_they_can_leave_it_whole_at_every_moment(tmp_path: Path) -> None:
    """Without the lock one would write what the other had not read; two keys would be active, or none."""
    place = Place(directory=tmp_path / "keys")
    init_ring(place, now_ms=START_MS)
    turning = [
        subprocess.Popen([sys.executable, "-c", _TURNING, place.directory, str(START_MS)], stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    looks, kids = 0, set[str]()
    while any(process.poll() is None for process in turning):
        loaded = load_ring(place)
        assert [key.state for key in loaded.keys].count(KeyState.ACTIVE) == 1
        kids.add(loaded.signer.kid)
        looks += 1
    errors = [process.communicate()[1].decode() for process in turning]
    assert errors == ["", ""]
    assert looks > 2
    assert len(kids) > 1
    assert load_ring(place).is_tidy
