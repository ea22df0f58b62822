"""What does a rule look at?  One filter of ours, in its chain, with the routes behind it and what we expect of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ott_extauthz.envoy_lint.branches import Branch, branches_of
from ott_extauthz.envoy_lint.chains import Chain, Filter
from ott_extauthz.envoy_lint.expectations import Expectations, ExpectedRoute
from ott_extauthz.envoy_lint.matching import served_by
from ott_extauthz.envoy_lint.node import Node

DIRECTION: str = "ott.direction"
OUTBOUND: str = "outbound"


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """A chain that asks us, and the filter that does."""

    chain: Chain
    guard: Filter
    expected: Expectations

    @property
    def config(self) -> Node:
        """The fields of the filter."""
        return self.guard.config

    @cached_property
    def branches(self) -> Sequence[Branch]:
        """Every way through the chain's routes."""
        return tuple(branches_of(self.chain.routes))

    @cached_property
    def checked(self) -> Sequence[tuple[Branch, tuple[ExpectedRoute, ...]]]:
        """The ways on which we are asked, each with the routes of the policy that it may serve."""
        return [(branch, served) for branch, served in self.served if branch.switched_off(self.guard) is None]

    @cached_property
    def served(self) -> Sequence[tuple[Branch, tuple[ExpectedRoute, ...]]]:
        """Every way, with the routes of the policy that it may serve."""
        return list(zip(self.branches, served_by(self.branches, self.expected.routes), strict=True))

    def is_outbound(self, branch: Branch) -> bool:
        """Whether requests leave here with a token that we attach, rather than come in with one."""
        direction = branch.extensions(self.guard.name).get(DIRECTION)
        return direction is not None and direction.text == OUTBOUND

    @cached_property
    def is_attaching(self) -> bool:
        """Whether the chain only attaches: nobody comes in here, so nobody's certificate or credential is looked at."""
        ways = [branch for branch, _ in self.checked]
        return bool(ways) and all(map(self.is_outbound, ways))

    @cached_property
    def policy_routes(self) -> frozenset[str]:
        """The names of the policy's routes."""
        return frozenset(route.name for route in self.expected.routes)

    @cached_property
    def policy_hosts(self) -> frozenset[str] | None:
        """The hosts that the policy guards; None where it is not known, or guards any. Public routes guard nothing."""
        guarding = [route for route in self.expected.routes if not route.is_public]
        if not guarding or not all(route.hosts for route in guarding):
            return None
        return frozenset(host for route in guarding for host in route.hosts)

    @cached_property
    def inbound(self) -> Sequence[tuple[Branch, tuple[ExpectedRoute, ...]]]:
        """The ways on which credentials come in and are checked."""
        return [(branch, served) for branch, served in self.checked if not self.is_outbound(branch)]

    def may_be_single_use(self, served: Sequence[ExpectedRoute]) -> bool:
        """Whether something may be spent here; without a policy anything may."""
        return not self.expected.routes or any(route.is_single_use for route in served)
