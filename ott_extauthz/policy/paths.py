"""Which templates take this path?  A tree over the segments, walked in the documented order.

A literal before ``{x}`` before ``{rest**}``, segment by segment from the left, going back where a branch ends.  A
literal in other case is found too, right behind the exact one, and told apart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ott_extauthz.policy.slots import Slot
from ott_extauthz.policy.template import Template


@dataclass(slots=True)
class End:
    """The routes of one template; ``ends_in_slash`` is None where both spellings are meant (``{rest**}``)."""

    ends_in_slash: bool | None
    by_method: dict[str | None, Slot] = field(default_factory=dict)


@dataclass(slots=True)
class Node:
    """All templates that share the segments up to here."""

    literals: dict[str, "Node"] = field(default_factory=dict)
    by_lower_case: dict[str, list["Node"]] = field(default_factory=dict)
    parameter: "Node | None" = None
    end: End | None = None
    rest: End | None = None


def ends_below(root: Node, segments: tuple[str, ...]) -> Iterator[tuple[End, bool]]:
    """Yield the ends that take ``segments``, in the documented order; at most one visit for each template's node.

    With each comes whether its literals stand in ``segments`` as they are, and not in other case.
    """
    pending: list[tuple[Node | End, int, bool]] = [(root, 0, True)]
    while pending:
        node, depth, is_exact = pending.pop()
        if isinstance(node, End):
            yield node, is_exact
        elif depth == len(segments):
            if node.end is not None:
                yield node.end, is_exact
        else:
            segment = segments[depth]
            # The last one in is the first one tried.  The root path `/` is one empty segment, which no parameter takes.
            if node.rest is not None and segment:
                pending.append((node.rest, depth, is_exact))
            if node.parameter is not None and segment:
                pending.append((node.parameter, depth + 1, is_exact))
            literal = node.literals.get(segment)
            # Where each literal has a case of its own, the exact one has no twin: nothing to look up.
            if literal is None or len(node.by_lower_case) < len(node.literals):
                pending += [(twin, depth + 1, False) for twin in _twins(node, segment) if twin is not literal]
            if literal is not None:
                pending.append((literal, depth + 1, is_exact))


def _twins(node: Node, segment: str) -> Sequence[Node]:
    return node.by_lower_case.get(segment.lower(), ())


def end_of(template: Template, node: Node) -> End:
    """Return the end of ``template`` below ``node``, made anew the first time.

    Raises:
        ValueError: another template differs by a trailing slash only.
    """
    for segment in template.segments:
        node = _child(node, segment)
    if template.takes_rest:
        node.rest = node.rest or End(None)
        return node.rest
    node.end = node.end or End(template.ends_in_slash)
    if node.end.ends_in_slash != template.ends_in_slash:
        raise ValueError(f"{template.text}: another route differs by a trailing slash only")
    return node.end


def _child(node: Node, segment: str | None) -> Node:
    if segment is None:
        node.parameter = node.parameter or Node()
        return node.parameter
    if segment not in node.literals:
        node.literals[segment] = Node()
        node.by_lower_case.setdefault(segment.lower(), []).append(node.literals[segment])
    return node.literals[segment]
