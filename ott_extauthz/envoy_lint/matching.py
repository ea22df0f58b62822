"""Which routes of the policy may a route of Envoy's serve?  When in doubt, it may.

Only what is certain narrows: a host that no domain of the virtual host means, a literal path that a prefix does not
begin, a method that the match does not name, and a route before it that surely takes everything.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ott_extauthz.envoy_lint.branches import Branch
from ott_extauthz.envoy_lint.document import Path
from ott_extauthz.envoy_lint.expectations import ExpectedRoute
from ott_extauthz.envoy_lint.node import Node

_PARAMETER: Final = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*(\*\*)?\}")
_PLAIN: Final = frozenset({"prefix", "case_sensitive"})
_PORT: Final = re.compile(r":[0-9]+\Z")


@dataclass(frozen=True, slots=True)
class _Way:
    """A branch with what is asked of it again and again."""

    branch: Branch
    home: Path
    domains: tuple[str, ...]
    exact: frozenset[str]
    """Every exact domain of the configuration, in whichever virtual host."""


def served_by(branches: Sequence[Branch], routes: Sequence[ExpectedRoute]) -> list[tuple[ExpectedRoute, ...]]:
    """Return, for each branch, the routes of the policy that may be served by it."""
    found: list[list[ExpectedRoute]] = [[] for _ in branches]
    ways = _ways(branches)
    by_domain: dict[str, list[int]] = {}
    for index, way in enumerate(ways):
        for domain in {"*" if "*" in name else _PORT.sub("", name) for name in way.domains}:
            by_domain.setdefault(domain, []).append(index)
    for expected in routes:
        is_exact = bool(expected.hosts) and not any("*" in host for host in expected.hosts)
        near = {at for host in ("*", *expected.hosts) for at in by_domain.get(_PORT.sub("", host), ())}
        for index in _serving(ways, sorted(near) if is_exact else range(len(ways)), expected):
            found[index].append(expected)
    return [tuple(each) for each in found]


def _ways(branches: Sequence[Branch]) -> list[_Way]:
    exact: dict[Path, frozenset[str]] = {}
    ways = []
    for branch in branches:
        top = (branch.configuration.document.name, *branch.configuration.path)
        if top not in exact:
            hosts = [name for each in branch.configuration["virtual_hosts"] for name in _domains(each)]
            exact[top] = frozenset(name for name in hosts if "*" not in name)
        home = (branch.virtual_host.document.name, *branch.virtual_host.path)
        ways.append(_Way(branch, home, tuple(_domains(branch.virtual_host)), exact[top]))
    return ways


def _serving(ways: Sequence[_Way], near: Sequence[int], expected: ExpectedRoute) -> Iterator[int]:
    taken: dict[Path, Path] = {}
    """For a virtual host the route that surely takes all of it; its other weighted clusters still count."""
    for index in near:
        way, branch = ways[index], ways[index].branch
        is_passed_by = taken.get(way.home, branch.route.path) != branch.route.path
        if is_passed_by or not _may_be_host(way, expected.hosts) or not may_match(branch, expected):
            continue
        yield index
        if branch.is_certain and _takes_all(branch.route["match"], expected.path):
            taken[way.home] = branch.route.path


def may_mean(virtual_host: Node, hosts: Collection[str]) -> bool:
    """Whether a virtual host may be for one of these hosts."""
    domains = _domains(virtual_host)
    return any(_hosts_meet(host, domain) for host in hosts for domain in domains)


def may_match(branch: Branch, expected: ExpectedRoute) -> bool:
    """Whether a request of the policy's route may fit this route's match."""
    if not branch.is_certain:
        return True
    match = branch.route["match"]
    if match["connect_matcher"].is_there and expected.methods and "CONNECT" not in expected.methods:
        return False
    methods = [
        header.at("string_match", "exact").text or header["exact_match"].text
        for header in match["headers"]
        if header["name"].text == ":method" and not header["invert_match"].truth
    ]
    if expected.methods and any(method and method not in expected.methods for method in methods):
        return False
    return _may_be_path(match, expected.path)


def _may_be_host(way: _Way, hosts: tuple[str, ...]) -> bool:
    """An exact domain comes before every pattern."""
    if not hosts:
        return True
    return any(
        host in way.domains if host in way.exact else any(_hosts_meet(host, domain) for domain in way.domains)
        for host in hosts
    )


def _domains(virtual_host: Node) -> list[str]:
    return [domain.text.lower() for domain in virtual_host["domains"]]


def _hosts_meet(host: str, domain: str) -> bool:
    host, domain = _PORT.sub("", host), _PORT.sub("", domain)
    if domain in ("*", host):
        return True
    if domain.startswith("*"):  # Envoy's `*.api` and `*-api`, over one label or more
        tail = domain[1:]
        return host.endswith(tail) or (host.startswith("*") and tail.endswith(host[1:]))
    if domain.endswith("*"):
        return host.startswith(("*", domain[:-1]))
    return host.startswith("*") and domain.endswith(host[1:])


def _may_be_path(match: Node, template: str) -> bool:
    ignores_case = match["case_sensitive"].is_false
    template = template.lower() if ignores_case else template
    for key in ("path", "prefix", "path_separated_prefix"):
        wanted = match[key].text.lower() if ignores_case else match[key].text
        if wanted:
            return _fits(template, wanted, is_prefix=key != "path")
    return True


def _fits(template: str, wanted: str, *, is_prefix: bool) -> bool:
    head = literal_head(template)
    if head == template:  # trailing slashes are one path to some servers
        return template.startswith(wanted) if is_prefix else template.rstrip("/") == wanted.rstrip("/")
    if is_prefix:
        return head.startswith(wanted) or wanted.startswith(head)
    parts = _PARAMETER.split(template)[::2]
    kinds = [".+" if rest else "[^/]+" for rest in _PARAMETER.findall(template)]
    pattern = "".join(re.escape(part) + kind for part, kind in zip(parts, [*kinds, "/?"], strict=True))
    return re.fullmatch(pattern, wanted) is not None


def literal_head(template: str) -> str:
    """Return what every path of a template begins with."""
    found = _PARAMETER.search(template)
    return template if found is None else template[: found.start()]


def _takes_all(match: Node, template: str) -> bool:
    """Whether a match without any condition but a prefix takes every path of a template."""
    keys = {key for key, _ in match.entries}
    prefix = match["prefix"].text
    return keys <= _PLAIN and bool(prefix) and literal_head(template).startswith(prefix)
