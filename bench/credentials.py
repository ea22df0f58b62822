"""What does each credential cost?  CPU of one Check in process, beside the one-time token's, all in one run."""

import asyncio
import gc
import json
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from bench.credential_calls import BASELINE, Calls
from bench.credential_files import OPAQUE, Held, write
from ott_extauthz.authn.introspection import introspected_from
from ott_extauthz.bootstrap.clock import SystemClock
from ott_extauthz.bootstrap.credentials import credentials_from
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.bootstrap.introspection import Introspectors, new_introspectors
from ott_extauthz.bootstrap.reloading import sources_of
from ott_extauthz.bootstrap.used_lists import new_used_list
from ott_extauthz.check.checker import Checker
from ott_extauthz.check.introspecting import question_key
from ott_extauthz.check.single_use import SingleUse
from ott_extauthz.observe.audit import NoAudit
from ott_extauthz.observe.introspections import IntrospectionMetrics
from ott_extauthz.observe.listeners import Listeners
from ott_extauthz.observe.log import DecisionLog, new_logger
from ott_extauthz.observe.metrics import Metrics
from ott_extauthz.observe.reloads import Reloads
from ott_extauthz.settings import load
from ott_extauthz.wire.decode import facts_from, request_or_none
from ott_extauthz.wire.encode import response_from
from ott_extauthz.wire.peer import PeerCertificates

CHECKS = 300
ROUNDS = 5
DOMAINS = "certificate, trust_domains"
_AGO_MS = 600_000


class _Clock(SystemClock):
    """A clock that is behind until the used-list was made, which then vouches for everything that is new."""

    behind_ms = _AGO_MS

    def now_ms(self) -> int:
        return super().now_ms() - self.behind_ms


class Judging:
    """One Check server without its socket."""

    def __init__(self, config: Path, clock: _Clock) -> None:
        self._clock, settings = clock, load(config, {})
        inputs, bounds = check_inputs(settings, str(config)), settings.clock
        metrics, logger = Metrics(transport="none"), new_logger("error")
        observer = Listeners(metrics, DecisionLog(logger), on_broken=metrics.faulted)
        used_list = new_used_list(settings, clock=clock, on_change=lambda _: None)
        clock.behind_ms = 0
        reloads = Reloads(logger, metrics)
        sources = sources_of(settings, inputs, clock=clock, listener=reloads, on_fault=metrics.faulted)
        self.introspectors: Introspectors = new_introspectors(
            settings.introspection, bounds, clock=clock, entropy=secrets.token_bytes,
            observer=IntrospectionMetrics(metrics.registry, on_fault=metrics.faulted),
        )  # fmt: skip
        spends = SingleUse(
            used_list=used_list, clock=clock, observer=observer,
            exp_leeway_ms=bounds.exp_leeway, max_skew_ms=bounds.max_skew,
        )  # fmt: skip
        self._checker = Checker(
            policy=sources.policy.current, credentials=credentials_from(settings, sources, self.introspectors),
            single_use=spends, audit=NoAudit(), observer=observer, clock=clock, entropy=secrets.token_bytes,
        )  # fmt: skip
        domains = sources.trust_domains
        self._certificates = PeerCertificates(
            settings.client_certificate, None if domains is None else domains.proves_principal
        )

    def keep(self, token: str, said: dict[str, Any]) -> None:
        """Have an opaque token's answer kept, as if it had just been asked for."""
        answers = self.introspectors.issuers[0].introspector.answers
        answers.put(question_key(OPAQUE, token), introspected_from(json.dumps(said).encode()), self._clock.monotonic())

    async def __call__(self, raw: bytes) -> bytes:
        """Answer a Check as the servicer does."""
        facts = facts_from(request_or_none(raw), self._certificates)
        decision = await self._checker.check(facts, deadline=self._clock.monotonic() + 1)
        return bytes(response_from(decision, is_grpc=False, expose_reason=True).SerializeToString())


async def _microseconds(name: str, judging: Judging, requests: Sequence[bytes]) -> float:
    gc.collect()
    before = time.process_time()
    answers = [await judging(each) for each in requests]
    spent = time.process_time() - before
    for answer in map(CheckResponse.FromString, answers):
        if answer.status.code != 0:
            raise SystemExit(f"{name}: void, a good request was refused: {_why(answer)}")
    return spent / len(requests) * 1e6


def _why(answer: CheckResponse) -> str:
    told = {each.header.key: each.header.value for each in answer.denied_response.headers}
    return f"{told.get('x-ott-reason')} {answer.denied_response.body}"


async def _measured(folder: Path) -> dict[str, float]:
    cases = _cases(folder)
    found: dict[str, list[float]] = {name: [] for name in cases}
    for name, (judging, make) in cases.items():
        await _microseconds(name, judging, [make() for _ in range(20)])  # what is loaded and kept at the first use
    for _ in range(ROUNDS):
        for name, (judging, make) in cases.items():
            found[name].append(await _microseconds(name, judging, [make() for _ in range(CHECKS)]))
    return {name: median(each) for name, each in found.items()}


def _cases(folder: Path) -> dict[str, tuple[Judging, Callable[[], bytes]]]:
    held, now_ms = Held(), SystemClock().now_ms()
    plain, domains = folder / "plain", folder / "domains"
    judges = []
    for each in (plain, domains):
        each.mkdir()
        judges.append(Judging(write(each, held, now_ms, with_domains=each is domains), _Clock()))
    calls = Calls(held, SystemClock().now_ms, judges[0].keep).all()
    cases = {name: (judges[0], make) for name, make in calls.items()}
    return cases | {DOMAINS: (judges[1], calls["certificate"])}


def credentials() -> None:
    """Print microseconds of CPU for one Check with each credential, as they are and as ratios."""
    with TemporaryDirectory() as name:
        found = asyncio.run(_measured(Path(name)))
    print(f"CPU per Check by credential, in process, memory store, no audit, median of {ROUNDS} rounds of {CHECKS}:")
    for name, value in found.items():
        print(f"  {name:34} {value:6.0f} us   {value / found[BASELINE]:5.2f} x {BASELINE}")


if __name__ == "__main__":
    credentials()
