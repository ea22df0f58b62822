"""Which path templates take some path that another one takes too?  Found in a tree, for large policies."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ott_extauthz.policy.template import Template


def may_meet(one: Template, other: Template) -> bool:
    """Whether some path is one of both templates."""
    for mine, theirs in zip(one.segments, other.segments, strict=False):
        if mine is not None and theirs is not None and mine != theirs:
            return False
    if one.takes_rest and other.takes_rest:
        return True
    if one.takes_rest or other.takes_rest:
        long, short = (other, one) if one.takes_rest else (one, other)
        return len(long.segments) > len(short.segments)
    return len(one.segments) == len(other.segments) and one.ends_in_slash == other.ends_in_slash


def is_narrower(one: Template, other: Template) -> bool:
    """Whether every path of ``one`` is a path of ``other``."""
    for mine, theirs in zip(one.segments, other.segments, strict=False):
        if theirs is not None and mine != theirs:
            return False
    if other.takes_rest:
        return len(one.segments) + one.takes_rest > len(other.segments)
    return not one.takes_rest and len(one.segments) == len(other.segments)


@dataclass(slots=True)
class _Node:
    below: dict[str | None, "_Node"] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    rests: list[int] = field(default_factory=list)


class Crossings:
    """Templates, each under a number; :meth:`near` leaves out most of those that cannot meet another."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, template: Template, number: int) -> None:
        """Keep a template."""
        node = self._root
        for segment in template.segments:
            node = node.below.setdefault(segment, _Node())
        (node.rests if template.takes_rest else node.ends).append(number)

    def near(self, template: Template) -> Iterator[int]:
        """Yield the numbers of all templates that may meet this one, and perhaps some that do not."""
        nodes = [self._root]
        for segment in template.segments:
            for node in nodes:
                yield from node.rests
            nodes = [found for node in nodes for found in _next(node, segment)]
        for node in nodes:
            yield from node.ends
            yield from node.rests
            if template.takes_rest:
                yield from _all_below(node)


def _next(node: _Node, segment: str | None) -> Iterator[_Node]:
    if segment is None:
        yield from node.below.values()
    else:
        yield from (node.below[key] for key in (segment, None) if key in node.below)


def _all_below(node: _Node) -> Iterator[int]:
    for child in node.below.values():
        yield from child.ends
        yield from child.rests
        yield from _all_below(child)
