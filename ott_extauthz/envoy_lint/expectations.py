"""What does our own configuration need of Envoy?  Read from ott.yaml and policy.yaml where they are given."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedRoute:
    """A route of the policy, as far as Envoy matters to it; ``path`` is the policy's template."""

    name: str
    hosts: tuple[str, ...]
    methods: tuple[str, ...]
    path: str
    is_single_use: bool
    needs_body: bool
    needs_raw_body: bool
    """A signature or digest is over the very bytes."""
    is_public: bool = False
    """Nothing is asked: such a route loses nothing where Envoy does not ask us."""
    is_verified_by_envoy: bool = False
    """Envoy's own filter looks at the signature, and has to tell us."""
    headers: tuple[str, ...] = ()
    """Headers beyond our own family that are set or removed when it lets a request on."""
    judges_address: bool = False
    """Where the caller is may decide (cidr, asn, a condition, an API key's networks)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """``routes`` is empty where no policy was given, and then rules that need one hold back."""

    certificate_source: Literal["peer", "xfcc", "rfc9440"] = "peer"
    trusted_hops: int = 0
    exact_hops: bool = False
    payload_namespace: str = "envoy.filters.http.jwt_authn"
    payload_key: str = "ott_payload"
    header_key: str = "ott_header"
    routes: tuple[ExpectedRoute, ...] = ()
    counts_addresses: bool = False
    """Whether callers without a certificate share something by their addresses: places at an asked issuer."""
    transport: Literal["native", "grpcio"] | None = None
    """Which of them serves Checks; None where nobody said."""
    is_told: bool = False
    """Whether these come from a configuration, and not from our defaults."""

    @property
    def may_judge_addresses(self) -> bool:
        """Whether an address may decide something; without a policy it may."""
        return not self.routes or self.counts_addresses or any(route.judges_address for route in self.routes)
