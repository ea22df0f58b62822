"""What may change under a running Check server?  The sources of its policies and key sets, each judged on its own.

``ott.yaml`` itself is read at the start only: listeners, stores and clocks do not change under way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.bootstrap.inputs import CheckInputs, read_issuer
from ott_extauthz.bootstrap.policy_files import policy_files, read_policy
from ott_extauthz.policy.document import Policy
from ott_extauthz.ports import Clock
from ott_extauthz.reload.source import InForce, Kind, ReloadListener, Source
from ott_extauthz.settings import Settings

T = TypeVar("T")
Files = Callable[[], Sequence[Path]]


@dataclass(frozen=True, slots=True)
class Sources:
    """The policies, and the trust list that follows its key sets."""

    policy: Source[Policy]
    shadow_policy: Source[Policy] | None
    key_sets: tuple[Source[TrustedIssuer], ...]
    trust: dict[str, TrustedIssuer]

    def all(self) -> list[Source[Any]]:
        """Every source, the policy first."""
        return [self.policy, *([self.shadow_policy] if self.shadow_policy else ()), *self.key_sets]


def sources_of(settings: Settings, inputs: CheckInputs, *, clock: Clock, listener: ReloadListener) -> Sources:
    """Return what ``settings`` name, as ``inputs`` found it."""
    trust = dict(inputs.trust)

    def source(kind: Kind, name: str, files: Files, value: T, load: Callable[[], T]) -> Source[T]:
        in_force = InForce(value, inputs.look_of(files()), clock.now_ms())
        return Source(
            kind=kind, name=name, files=files, load=load, now_ms=clock.now_ms, listener=listener,
            in_force=in_force, ends_itself=kind is Kind.KEY_SET,
        )  # fmt: skip

    def policy(kind: Kind, paths: Sequence[Path], value: Policy) -> Source[Policy]:
        name = ", ".join(map(str, paths))
        return source(kind, name, partial(policy_files, paths), value, partial(read_policy, paths))

    assert settings.policy is not None  # noqa: S101 - check_inputs refused it otherwise
    key_sets = [
        source(Kind.KEY_SET, name, partial(list, [entry.jwks]), trust[name], partial(read_issuer, entry))
        for name, entry in ((entry.issuer, entry) for entry in settings.trust or ())
    ]
    for key_set in key_sets:
        key_set.take = partial(trust.__setitem__, key_set.name)
    shadow = None
    if settings.shadow_policy is not None and inputs.shadow_policy is not None:
        shadow = policy(Kind.SHADOW_POLICY, settings.shadow_policy, inputs.shadow_policy)
    return Sources(policy(Kind.POLICY, settings.policy, inputs.policy), shadow, tuple(key_sets), trust)
