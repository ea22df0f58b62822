"""Which way does a request take, and what is said of the filter there?  Routes with their per-route settings.

Envoy looks them up by the filter's *name*, from the route configuration over virtual host and route to the weighted
cluster: the most specific one counts, and only ``context_extensions`` are added up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ott_extauthz.envoy_lint.chains import Filter
from ott_extauthz.envoy_lint.node import Node

PER_ROUTE: Final = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
_WRAPPED: Final = "envoy.config.route.v3.FilterConfig"
_ROUTE: Final = "envoy.config.route.v3.Route"
_ROUTE_LIST: Final = "envoy.config.route.v3.RouteList"
_LEVELS: Final = "typed_per_filter_config"
_CHOOSERS: Final = ("cluster_header", "cluster_specifier_plugin", "inline_cluster_specifier_plugin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One per-route setting of a filter, unwrapped."""

    entry: Node
    type: str
    """Empty where a wrapper says no more than whether the filter runs."""
    config: Node
    is_left_out: bool = False
    """Whether the chain is to go on without the filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A route, or one weighted cluster of it, in its virtual host; ``levels`` go from the general to the special."""

    configuration: Node
    virtual_host: Node
    route: Node
    levels: tuple[Node, ...]
    is_certain: bool = True
    """Whether the route was found in the plain list, where its match can be read."""

    def settings(self, name: str) -> list[Setting]:
        """Return what the levels say of a filter of this name."""
        return [found for level in self.levels for found in settings_at(level) if found.entry.path[-1] == name]

    def switched_off(self, guard: Filter) -> Node | None:
        """Return what switches the filter off here, if something does.

        Two switches, and either is enough: a chain leaves a filter out, and ext_authz has a ``disabled`` of its own. A
        wrapper with an empty ``config`` puts the filter back into the chain and says nothing of the second.
        """
        left_out: Node | None = guard.entry["disabled"] if guard.entry["disabled"].truth else None
        own: Node | None = None
        for setting in self.settings(guard.name):
            left_out = setting.entry if setting.is_left_out else None
            if setting.type:
                own = setting.entry if setting.config["disabled"].truth else None
        return own if left_out is None else left_out

    def extensions(self, name: str) -> dict[str, Node]:
        """Return the ``context_extensions`` that a Check from here carries."""
        merged: dict[str, Node] = {}
        for setting in self.settings(name):
            merged |= dict(setting.config.at("check_settings", "context_extensions").entries)
        return merged

    def check_settings(self, guard: Filter) -> Node | None:
        """Return the most specific settings of a Check, if any level has some."""
        found = [setting.config["check_settings"] for setting in self.settings(guard.name) if setting.type]
        return found[-1] if found and found[-1].is_there else None

    def asks_elsewhere(self, guard: Filter) -> Node | None:
        """Return what names another server than the filter does, if something does."""
        settings = self.check_settings(guard)
        if settings is None:
            return None
        other = settings["grpc_service"]
        named = other.at("envoy_grpc", "cluster_name").text
        is_other = other.is_there and (not named or named != guard.check_cluster)
        if settings["http_service"].is_there:
            return settings["http_service"]
        return other if is_other else None

    @property
    def is_answered_here(self) -> bool:
        """Whether Envoy answers by itself: a redirect, or a direct response."""
        return self.route["redirect"].is_there or self.route["direct_response"].is_there

    @property
    def clusters(self) -> Iterator[str]:
        """The clusters that requests go to from here."""
        action = self.route["route"]
        yield action["cluster"].text
        for weighted in action.at("weighted_clusters", "clusters"):
            yield weighted["name"].text

    @property
    def mirrors(self) -> Iterator[str]:
        """The clusters that get copies of requests from here."""
        for place in (self.route["route"], self.virtual_host, self.configuration):
            yield from (each["cluster"].text for each in place["request_mirror_policies"])

    @property
    def choosers(self) -> Iterator[Node]:
        """What chooses the cluster by the request itself: nobody can say here which one it is."""
        action = self.route["route"]
        places = [action, *action.at("weighted_clusters", "clusters")]
        found = (place[key] for place in places for key in _CHOOSERS)
        return (node for node in found if node.is_there)


def settings_at(level: Node) -> Iterator[Setting]:
    """Yield the per-route settings at one level."""
    for _, entry in level[_LEVELS].entries:
        kind, config = entry.typed
        if kind == _WRAPPED:
            inner, unwrapped = config["config"].typed
            is_left_out = config["disabled"].truth  # and then the config beside it counts for nothing
            yield Setting(entry=entry, type="" if is_left_out else inner, config=unwrapped, is_left_out=is_left_out)
        else:
            yield Setting(entry=entry, type=kind, config=config)


def branches_of(configurations: Sequence[Node]) -> Iterator[Branch]:
    """Yield every way through these route configurations, in the order in which Envoy tries them."""
    for configuration in configurations:
        for virtual_host in configuration["virtual_hosts"]:
            for route in virtual_host["routes"]:
                yield from _of_route(configuration, virtual_host, route, is_certain=True)
            for route in _in_matcher(virtual_host["matcher"]):
                yield from _of_route(configuration, virtual_host, route, is_certain=False)


def _of_route(configuration: Node, virtual_host: Node, route: Node, *, is_certain: bool) -> Iterator[Branch]:
    levels = (configuration, virtual_host, route)
    weighted = tuple(route.at("route", "weighted_clusters", "clusters"))
    lasts: list[tuple[Node, ...]] = [(each,) for each in weighted]
    for last in lasts or [()]:
        yield Branch(
            configuration=configuration, virtual_host=virtual_host, route=route, levels=(*levels, *last),
            is_certain=is_certain,
        )  # fmt: skip


def _in_matcher(matcher: Node) -> Iterator[Node]:
    """Yield the routes that a matching tree ends in, wherever it has them."""
    waiting = [matcher]
    while waiting:
        node = waiting.pop()
        kind, config = node.typed
        if kind == _ROUTE:
            yield config
        elif kind == _ROUTE_LIST:
            yield from config["routes"]
        else:
            waiting += [*node, *(value for _, value in node.entries)][::-1]
