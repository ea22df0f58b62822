"""What may change under a running Check server?  The sources of its policies and key sets, each judged on its own.

``ott.yaml`` itself is read at the start only: listeners, stores and clocks do not change under way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from ott_extauthz.authn.api_keys import ApiKeys
from ott_extauthz.authn.decryption import DecryptionKeys
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.outgoing.signing_keys import SigningKey
from ott_extauthz.authn.partners import Partners
from ott_extauthz.authn.sealed import plain_from
from ott_extauthz.authn.trust_bundle import TrustBundle
from ott_extauthz.authn.trust_domains import TrustDomains
from ott_extauthz.bootstrap.inputs import CheckInputs, read_issuer, read_servable_policy
from ott_extauthz.bootstrap.key_sets import followed_key_sets, in_file
from ott_extauthz.bootstrap.named_files import NamedFiles
from ott_extauthz.bootstrap.partner_files import files_of_partners, read_partners
from ott_extauthz.bootstrap.policy_files import policy_files
from ott_extauthz.bootstrap.signing_keys import read_signing_key
from ott_extauthz.bootstrap.trust_bundles import read_bundle
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.document import Policy
from ott_extauthz.ports import Clock
from ott_extauthz.reload.source import InForce, Kind, ReloadListener, Shown, Source
from ott_extauthz.settings import Settings
from ott_extauthz.stores.api_key_file import load_api_keys
from ott_extauthz.stores.encryption_files import load_decryption, private_files
from ott_extauthz.wire.followed_key_set import FollowedKeySet

T = TypeVar("T")
Files = Callable[[], Sequence[Path]]

_END_THEMSELVES: Final = frozenset({Kind.KEY_SET, Kind.DECRYPTION_KEYS})


@dataclass(frozen=True, slots=True)
class Sources:
    """The policies, and the trust list that follows its key sets: ``key_sets`` in files, ``followed`` at URLs."""

    policy: Source[Policy]
    shadow_policy: Source[Policy] | None
    key_sets: tuple[Source[TrustedIssuer], ...]
    trust: dict[str, TrustedIssuer]
    followed: tuple[FollowedKeySet, ...] = ()
    decryption: Source[DecryptionKeys] | None = None
    signing_keys: tuple[Source[SigningKey], ...] = ()
    partners: Source[Partners] | None = None
    api_keys: Source[ApiKeys] | None = None
    trust_bundles: tuple[Source[TrustBundle], ...] = ()
    trust_domains: TrustDomains | None = None

    def partners_now(self) -> Partners:
        """Return who signs requests now."""
        return {} if self.partners is None else self.partners.current()

    def unseal(self, text: str, is_demanded: bool) -> str | Rejection:  # noqa: FBT001 - as Unseal has it
        """Open a token with the keys in force."""
        keys = {} if self.decryption is None else self.decryption.current()
        return plain_from(text, keys, is_demanded=is_demanded)

    def current_api_keys(self) -> ApiKeys:
        """Return the API keys in force."""
        return {} if self.api_keys is None else self.api_keys.current()

    def signing_key(self, name: str) -> SigningKey | None:
        """Return the key of this name in force."""
        return next((each.current() for each in self.signing_keys if each.name == name), None)

    def in_files(self) -> list[Source[Any]]:
        """Every source that is looked at, the policy first."""
        policies = [self.policy, *([self.shadow_policy] if self.shadow_policy else ())]
        others = [each for each in (self.decryption, self.partners, self.api_keys) if each is not None]
        return [*policies, *self.key_sets, *others, *self.trust_bundles, *self.signing_keys]

    def all(self) -> list[Shown]:
        """Everything that may change, the policy first."""
        return [*self.in_files(), *self.followed]


def sources_of(
    settings: Settings,
    inputs: CheckInputs,
    *,
    clock: Clock,
    listener: ReloadListener,
    on_fault: Callable[[str], None],
) -> Sources:
    """Return what ``settings`` name, as ``inputs`` found it."""
    trust = dict(inputs.trust)

    def source(kind: Kind, name: str, files: Files, value: T, load: Callable[[], T]) -> Source[T]:
        in_force = InForce(value, inputs.look_of(files()), clock.now_ms())
        return Source(
            kind=kind, name=name, files=files, load=load, now_ms=clock.now_ms, listener=listener,
            in_force=in_force, ends_itself=kind in _END_THEMSELVES,
        )  # fmt: skip

    def policy(kind: Kind, paths: Sequence[Path], value: Policy) -> Source[Policy]:
        name = ", ".join(map(str, paths))
        return source(kind, name, partial(policy_files, paths), value, partial(read_servable_policy, paths, settings))

    assert settings.policy is not None  # noqa: S101 - check_inputs refused it otherwise
    key_sets = [
        source(
            Kind.KEY_SET, entry.issuer, partial(list, [path]), trust[entry.issuer], partial(read_issuer, entry, path)
        )
        for entry in settings.trust or ()
        if (path := in_file(entry)) is not None
    ]
    for key_set in key_sets:
        key_set.take = partial(trust.__setitem__, key_set.name)
    followed = followed_key_sets(settings.trust or (), clock=clock, listener=listener, on_fault=on_fault)
    trust |= {each.name: each.issuer for each in followed}
    shadow = None
    if settings.shadow_policy is not None and inputs.shadow_policy is not None:
        shadow = policy(Kind.SHADOW_POLICY, settings.shadow_policy, inputs.shadow_policy)
    decryption = None
    if settings.decryption is not None:
        folder = settings.decryption
        files, load = partial(private_files, folder), partial(load_decryption, folder)
        decryption = source(Kind.DECRYPTION_KEYS, str(folder), files, inputs.decryption, load)
    attach = inputs.attach
    signing_keys = [] if attach is None else [
        source(
            Kind.SIGNING_KEY, entry.name, partial(list, [entry.file]), attach.signing_keys[entry.name],
            partial(read_signing_key, entry),
        )
        for entry in attach.settings.signing_keys
    ]  # fmt: skip
    partners = None
    if settings.partners is not None:
        named = NamedFiles(settings.partners, files_of_partners).all
        load_partners = partial(read_partners, settings.partners)
        partners = source(Kind.PARTNERS, str(settings.partners), named, inputs.partners, load_partners)
    api_keys = None
    if settings.api_keys is not None:
        file = settings.api_keys.file
        api_keys = source(
            Kind.API_KEYS, str(file), partial(list, [file]), inputs.api_keys, partial(load_api_keys, file)
        )
    in_force = policy(Kind.POLICY, settings.policy, inputs.policy)
    bundles = dict(inputs.trust_bundles)
    trust_bundles = [
        source(Kind.TRUST_BUNDLE, name, partial(list, [entry.bundle]), bundles[name], partial(read_bundle, name, entry))
        for name, entry in (settings.trust_domains or {}).items()
    ]
    for each in trust_bundles:
        each.take = partial(bundles.__setitem__, each.name)
    return Sources(
        in_force, shadow, tuple(key_sets), trust, followed, decryption, partners=partners, api_keys=api_keys,
        trust_bundles=tuple(trust_bundles), signing_keys=tuple(signing_keys),
        trust_domains=None if settings.trust_domains is None else TrustDomains(bundles, clock.now_ms),
    )  # fmt: skip
