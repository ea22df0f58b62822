"""What may change under a running Check server?  The sources of its policies and key sets, each judged on its own.

``ott.yaml`` itself is read at the start only: listeners, stores and clocks do not change under way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from ott_extauthz.authn.api_keys import ApiKeys
from ott_extauthz.authn.decryption import DecryptionKeys
from ott_extauthz.authn.keys import TrustedIssuer
from ott_extauthz.authn.one_format import of_both_formats
from ott_extauthz.authn.outgoing.signing_keys import SigningKey
from ott_extauthz.authn.partners import Partners
from ott_extauthz.authn.sealed import plain_from
from ott_extauthz.authn.trust_bundle import TrustBundle
from ott_extauthz.authn.trust_domains import TrustDomains
from ott_extauthz.bootstrap.inputs import CheckInputs, read_issuer_apart, read_servable_policy
from ott_extauthz.bootstrap.key_sets import followed_key_sets, in_file
from ott_extauthz.bootstrap.named_files import NamedFiles
from ott_extauthz.bootstrap.partner_files import files_of_partners, read_partners
from ott_extauthz.bootstrap.policy_files import policy_files
from ott_extauthz.bootstrap.signing_keys import read_signing_key
from ott_extauthz.bootstrap.span_outlet import SpanOutlet
from ott_extauthz.bootstrap.tracing_files import TracingFiles, tracing_source
from ott_extauthz.bootstrap.trust_bundles import read_bundle
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import TokenFormat
from ott_extauthz.policy.document import Policy
from ott_extauthz.ports import Clock
from ott_extauthz.reload.source import InForce, Kind, ReloadListener, Shown, Source
from ott_extauthz.settings import Settings
from ott_extauthz.stores.api_key_file import load_api_keys
from ott_extauthz.stores.encryption_files import load_decryption, private_files
from ott_extauthz.wire.followed_key_set import FollowedKeySet, unseen

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
    tracing: Source[TracingFiles] | None = None
    paseto_trust: dict[str, TrustedIssuer] = field(default_factory=dict)

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
        others = [each for each in (self.decryption, self.partners, self.api_keys, self.tracing) if each is not None]
        return [*policies, *self.key_sets, *others, *self.trust_bundles, *self.signing_keys]

    def all(self) -> list[Shown]:
        """Everything that may change, the policy first."""
        return [*self.in_files(), *self.followed]


def sources_of(  # noqa: PLR0913 - what is followed, for whom, and who is told
    settings: Settings,
    inputs: CheckInputs,
    *,
    clock: Clock,
    listener: ReloadListener,
    on_fault: Callable[[str], None],
    outlet: SpanOutlet | None = None,
) -> Sources:
    """Return what ``settings`` name, as ``inputs`` found it; ``outlet`` sends spans, and follows its own files."""
    assert settings.policy is not None  # noqa: S101 - check_inputs refused it otherwise
    making = _Making(settings, inputs, clock, listener, on_fault, outlet)
    trust, paseto_trust = dict(inputs.trust), dict(inputs.paseto_trust)
    key_sets, followed = making.key_sets("jwt", trust, others=paseto_trust)
    paseto_key_sets, paseto_followed = making.key_sets("paseto", paseto_trust, others=trust)
    bundles = dict(inputs.trust_bundles)
    return Sources(
        policy=making.policy(Kind.POLICY, settings.policy, inputs.policy),
        shadow_policy=making.shadow_policy(),
        key_sets=(*key_sets, *paseto_key_sets),
        trust=trust,
        followed=(*followed, *paseto_followed),
        decryption=making.decryption(),
        signing_keys=making.signing_keys(),
        partners=making.partners(),
        api_keys=making.api_keys(),
        trust_bundles=making.trust_bundles(bundles),
        trust_domains=None if settings.trust_domains is None else TrustDomains(bundles, clock.now_ms),
        tracing=making.tracing(),
        paseto_trust=paseto_trust,
    )


@dataclass(frozen=True, slots=True)
class _Making:
    """Makes the sources, one kind after the other."""

    settings: Settings
    inputs: CheckInputs
    clock: Clock
    listener: ReloadListener
    on_fault: Callable[[str], None]
    outlet: SpanOutlet | None

    def source(self, kind: Kind, name: str, files: Files, value: T, load: Callable[[], T]) -> Source[T]:
        in_force = InForce(value, self.inputs.look_of(files()), self.clock.now_ms())
        return Source(
            kind=kind, name=name, files=files, load=load, now_ms=self.clock.now_ms, listener=self.listener,
            in_force=in_force, ends_itself=kind in _END_THEMSELVES,
        )  # fmt: skip

    def policy(self, kind: Kind, paths: Sequence[Path], value: Policy) -> Source[Policy]:
        name, load = ", ".join(map(str, paths)), partial(read_servable_policy, paths, self.settings)
        return self.source(kind, name, partial(policy_files, paths), value, load)

    def shadow_policy(self) -> Source[Policy] | None:
        paths, value = self.settings.shadow_policy, self.inputs.shadow_policy
        return None if paths is None or value is None else self.policy(Kind.SHADOW_POLICY, paths, value)

    def key_sets(
        self, form: TokenFormat, trust: dict[str, TrustedIssuer], *, others: Mapping[str, TrustedIssuer]
    ) -> tuple[list[Source[TrustedIssuer]], Sequence[FollowedKeySet]]:
        """Return the key sets in files and at URLs; ``trust`` follows both, and takes no key that ``others`` have."""
        entries, key_sets = self.settings.trusted(form), []
        for entry in entries:
            if (path := in_file(entry)) is not None:
                name, read = entry.issuer, partial(read_issuer_apart, entry, path, others)
                key_set = self.source(Kind.KEY_SET, name, partial(list, [path]), trust[name], read)
                key_set.take = partial(trust.__setitem__, name)
                key_sets.append(key_set)
        followed = followed_key_sets(
            entries,
            clock=self.clock,
            listener=self.listener,
            on_fault=self.on_fault,
            judge=lambda issuer: of_both_formats(issuer, others.values()),
            on_fetched=self.outlet.fetched if self.outlet else unseen,
        )
        trust |= {each.name: each.issuer for each in followed}
        return key_sets, followed

    def tracing(self) -> Source[TracingFiles] | None:
        settings, files = self.settings.tracing, self.inputs.tracing
        if settings is None or self.outlet is None:
            return None
        return tracing_source(settings, files, take=self.outlet.use, clock=self.clock, listener=self.listener)

    def decryption(self) -> Source[DecryptionKeys] | None:
        folder = self.settings.decryption
        if folder is None:
            return None
        files, load = partial(private_files, folder), partial(load_decryption, folder)
        return self.source(Kind.DECRYPTION_KEYS, str(folder), files, self.inputs.decryption, load)

    def signing_keys(self) -> tuple[Source[SigningKey], ...]:
        attach = self.inputs.attach
        if attach is None:
            return ()
        return tuple(
            self.source(
                Kind.SIGNING_KEY,
                entry.name,
                partial(list, [entry.file]),
                attach.signing_keys[entry.name],
                partial(read_signing_key, entry),
            )
            for entry in attach.settings.signing_keys
        )

    def partners(self) -> Source[Partners] | None:
        path = self.settings.partners
        if path is None:
            return None
        named, load = NamedFiles(path, files_of_partners).all, partial(read_partners, path)
        return self.source(Kind.PARTNERS, str(path), named, self.inputs.partners, load)

    def api_keys(self) -> Source[ApiKeys] | None:
        if self.settings.api_keys is None:
            return None
        path = self.settings.api_keys.file
        files: Files = partial(list, [path])
        load = partial(load_api_keys, path)
        return self.source(Kind.API_KEYS, str(path), files, self.inputs.api_keys, load)

    def trust_bundles(self, bundles: dict[str, TrustBundle]) -> tuple[Source[TrustBundle], ...]:
        """Return the bundles of the trust domains; ``bundles`` follows them."""
        sources: list[Source[TrustBundle]] = []
        for name, entry in (self.settings.trust_domains or {}).items():
            files: Files = partial(list, [entry.bundle])
            load = partial(read_bundle, name, entry)
            source = self.source(Kind.TRUST_BUNDLE, name, files, bundles[name], load)
            source.take = partial(bundles.__setitem__, name)
            sources.append(source)
        return tuple(sources)
