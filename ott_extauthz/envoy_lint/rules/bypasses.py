"""Does every way to a guarded upstream lead past us?"""

from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from ott_extauthz.envoy_lint.branches import Branch, branches_of
from ott_extauthz.envoy_lint.chains import Chain, chains_of
from ott_extauthz.envoy_lint.configuration import Envoy
from ott_extauthz.envoy_lint.expectations import Expectations
from ott_extauthz.envoy_lint.finding import Finding, Rule, Severity
from ott_extauthz.envoy_lint.matching import served_by
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.rules.addresses import bound_to, is_local
from ott_extauthz.envoy_lint.rules.admin import leads_to_admin
from ott_extauthz.envoy_lint.rules.guarded import Guarded
from ott_extauthz.envoy_lint.rules.order import NOT_JUDGED
from ott_extauthz.envoy_lint.streams import streams_of, unseen_network_filters
from ott_extauthz.envoy_lint.upstreams import addresses_of, ends_of, is_chosen_by_request, names_of

NO_EXT_AUTHZ: Final = Rule(
    name="no-ext-authz",
    severity=Severity.ERROR,
    title="Nobody asks ott-extauthz",
    why="no filter chain has an ext_authz filter over gRPC (or none that asks the cluster named): every request passes",
    mend="put the filter of envoy/envoy.yaml before the router",
)
BYPASS: Final = Rule(
    name="bypass-listener",
    severity=Severity.ERROR,
    title="A second way leads to a guarded upstream",
    why="the cluster is reached here without a Check, and with whatever x-ott-subject the client writes",
    mend="put ext_authz into this chain too, or take the route away",
)
UNGUARDED: Final = Rule(
    name="unguarded-listener",
    severity=Severity.NOTE,
    title="A listener forwards without asking",
    why="nothing behind it is guarded elsewhere, so it may be meant",
    mend="see that what it leads to may be reached by anybody",
)
RULES: Final = (NO_EXT_AUTHZ, BYPASS, UNGUARDED)

_PASSTHROUGH: Final = "InboundPassthroughCluster"
"""Istio's, for ports that no Service names: it stands in every sidecar, once for HTTP and once for bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What only those may reach that were checked, under each of its names."""

    envoy: Envoy
    names: frozenset[str]
    addresses: frozenset[tuple[str, float | None]]

    def met_by(self, reached: Collection[str], listener: Node) -> list[str]:
        """Return those clusters that are among it; a mesh asks elsewhere about what its workload calls by address."""
        found = {each for each in reached if names_of(self.envoy, each) & self.names}
        if not _is_leaving(listener):
            found |= {each for each in reached if addresses_of(self.envoy, each) & self.addresses}
        return sorted(found)


def unguarded(envoy: Envoy, cluster: str | None, guarded: Sequence[Guarded]) -> Iterator[Finding]:
    """Yield the chains that do not ask us, and what they lead to."""
    everything = list(chains_of(envoy))
    yield from _unseen_filters(everything)
    yield from _unseen_listeners(envoy)
    if not guarded:
        place = envoy.listeners[0] if envoy.listeners else envoy.bootstrap
        yield place.breaks(NO_EXT_AUTHZ, f"{len(everything)} filter chains, and none asks {cluster or 'over gRPC'}")
        return
    protected = {name for each in guarded for branch, _ in each.inbound for name in branch.clusters if name}
    kept = _Kept(
        envoy=envoy,
        names=frozenset(name for each in protected for name in names_of(envoy, each)),
        addresses=frozenset(address for each in protected for address in addresses_of(envoy, each)),
    )
    inner = {each.chain.listener["name"].text for each in guarded if each.chain.is_internal}
    for chain in everything:
        if not chain.guards(cluster) and not any(each.is_unseen for each in chain.filters):
            yield from _past(chain, kept, inner, guarded[0].expected)
    for stream in streams_of(envoy):
        met = [each for each in kept.met_by(stream.clusters, stream.listener) if not each.startswith(_PASSTHROUGH)]
        if met:
            told = f"{_name(stream.listener)} hands bytes on to {', '.join(met)} without a Check"
            yield stream.place.breaks(BYPASS, told)
        elif stream.is_chosen_by_client and kept.names:
            told = f"{_name(stream.listener)} hands bytes on to whatever the TLS handshake names, without a Check"
            yield stream.place.breaks(BYPASS, told)


def _past(chain: Chain, kept: _Kept, inner: AbstractSet[str], expected: Expectations) -> Iterator[Finding]:
    """Yield what is to be said of a chain that does not ask us."""
    is_mesh = _is_leaving(chain.listener)
    ways = [branch for branch in _suspect(chain, expected) if not branch.is_answered_here]
    reached = {name for branch in ways for name in (*branch.clusters, *branch.mirrors) if name}
    chooser = next((node for branch in ways for node in _choosers(chain.envoy, branch)), None)
    met = kept.met_by(reached, chain.listener)
    if met:
        yield chain.place.breaks(BYPASS, f"{_name(chain.listener)} leads to {', '.join(met)} without a Check")
    elif chooser is not None and kept.names and not is_mesh:
        yield chooser.breaks(BYPASS, f"{_name(chain.listener)} leads to any cluster without a Check")
    elif not is_mesh and _is_worth_a_look(chain, reached, inner):
        yield chain.place.breaks(UNGUARDED, f"{_name(chain.listener)} has no ext_authz filter of ours")


def _suspect(chain: Chain, expected: Expectations) -> Iterator[Branch]:
    """Yield the ways but for exact paths that only public routes of the policy mean: /healthz on a port of its own."""
    branches = list(branches_of(chain.routes))
    for branch, served in zip(branches, served_by(branches, expected.routes), strict=True):
        is_exact = bool(branch.route.at("match", "path").text)
        if not (is_exact and served and all(route.is_public for route in served)):
            yield branch


def _choosers(envoy: Envoy, branch: Branch) -> Iterator[Node]:
    yield from branch.choosers
    if any(is_chosen_by_request(envoy, name) for name in branch.clusters):
        yield branch.route


def _is_worth_a_look(chain: Chain, reached: Collection[str], inner: AbstractSet[str]) -> bool:
    """Whether others reach something here that is no guarded listener of this Envoy, nor its admin port."""
    if all(map(is_local, bound_to(chain.listener))) and not chain.is_internal:
        return False
    envoy = chain.envoy
    return any(not _leads_inside(envoy, name, inner) and not leads_to_admin(envoy, name) for name in reached)


def _is_leaving(listener: Node) -> bool:
    """Whether a mesh has it for what its workload calls: those clusters are asked for elsewhere."""
    return listener["traffic_direction"].enum(("UNSPECIFIED", "INBOUND", "OUTBOUND")) == "OUTBOUND"


def _unseen_filters(chains: Sequence[Chain]) -> Iterator[Finding]:
    for chain in chains:
        for each in chain.filters:
            if each.is_unseen:
                yield each.entry.breaks(NOT_JUDGED, f"the filter {each.name} comes from a control plane (ECDS)")


def _unseen_listeners(envoy: Envoy) -> Iterator[Finding]:
    for listener in envoy.listeners:
        if listener["fcds_config"].is_there:
            yield listener["fcds_config"].breaks(NOT_JUDGED, "filter chains come from a control plane (FCDS)")
    for each in unseen_network_filters(envoy):
        yield each.breaks(NOT_JUDGED, f"the network filter {each['name'].text} comes from a control plane (ECDS)")
    sent = envoy.bootstrap.at("dynamic_resources", "lds_config")
    is_file = sent["path"].is_there or sent["path_config_source"].is_there
    if sent.is_there and not envoy.is_dump and not is_file and envoy.listeners:
        yield sent.breaks(NOT_JUDGED, "further listeners come from a control plane (LDS)")


def _name(listener: Node) -> str:
    return f"listener {listener['name'].text or '?'}"


def _leads_inside(envoy: Envoy, cluster: str, inner: AbstractSet[str]) -> bool:
    """Whether a cluster is a listener of this Envoy that asks us (envoy/attach-retries.yaml)."""
    names = {end.at("envoy_internal_address", "server_listener_name").text for end in ends_of(envoy, cluster)}
    return bool(names) and names <= inner
