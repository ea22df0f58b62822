"""Whatever a configuration looks like, the linter ends in findings or in a clear error, never in anything else."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.envoy_lint.catalogue import RULES
from ott_extauthz.envoy_lint.document import Document
from ott_extauthz.envoy_lint.linting import findings
from ott_extauthz.envoy_lint.matching import _hosts_meet, may_match
from ott_extauthz.envoy_lint.node import Node
from ott_extauthz.envoy_lint.reading import documents_in
from ott_extauthz.envoy_lint.reports import data_of, sarif_of, text_of
from tests.unit.envoy_lint.faults import FAULTS
from tests.unit.envoy_lint.shipped import copy_of, edited, expecting, wanted
from tests.unit.envoy_lint.test_good_configurations import TEAMS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path, *(found for key in keys for found in _paths(value[key], (*path, key)))]


EDITS = [fault.edit for faults in FAULTS.values() for fault in faults if fault.base == "envoy.yaml"]
EDITS += TEAMS.values()


@st.composite
def _torn(draw: st.DrawFn) -> dict[str, Any]:
    """A configuration that somebody edited, with something else in up to three of its places."""
    tree = copy_of(edited(draw(st.sampled_from(EDITS))))  # what edits put in is shared between them
    places = _paths(tree)[1:]
    for _ in range(draw(st.integers(1, 3))):
        path, value = draw(st.sampled_from(places)), draw(JSON)
        try:
            parent: Any = tree
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue  # an edit before took this place away
    return tree


@given(tree=_torn())
@settings(max_examples=80, deadline=None)
def test_a_configuration_of_any_shape_ends_in_findings_that_can_be_shown(tree: dict[str, Any]) -> None:
    document = Document(name="x", tree=tree)
    found = findings([document], expecting(wanted(needs_body=True, needs_raw_body=True)))
    assert text_of(found, {}, 1)
    assert json.dumps(data_of(found, {}))
    assert json.dumps(sarif_of(found, {}, RULES, "1"))


@given(text=st.text(alphabet="ab:&*[]{}-,!\"'\n <|#?1", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_documents_or_a_clear_error(text: str) -> None:
    told, documents = "x", []
    try:
        documents = documents_in(text, "x")
    except DocumentError as error:
        told = str(error)
    assert told.startswith("x")
    assert all((*path,) in document.lines for document in documents for path in document.lines)


SEGMENT = st.sampled_from(["a", "b", "v1"])
PREFIX = st.lists(SEGMENT, max_size=3).map(lambda parts: "/" + "/".join(parts))


@given(path=st.lists(SEGMENT, min_size=1, max_size=4), at=st.integers(0, 3), prefix=PREFIX)
def test_a_prefix_that_begins_some_path_of_a_template_may_serve_it(path: list[str], at: int, prefix: str) -> None:
    """What may be served is never missed; the concrete path is one of the template's."""
    from ott_extauthz.envoy_lint.branches import branches_of  # noqa: PLC0415 - only here

    template = "/" + "/".join("{it}" if index == at else part for index, part in enumerate(path))
    configuration = {"virtual_hosts": [{"domains": ["*"], "routes": [{"match": {"prefix": prefix}}]}]}
    node = Node(Document(name="x", tree=configuration), (), configuration)
    (branch,) = branches_of([node])
    if ("/" + "/".join(path)).startswith(prefix):
        assert may_match(branch, wanted(template))


@given(labels=st.lists(SEGMENT, min_size=1, max_size=3), cut=st.integers(0, 2))
def test_a_suffix_pattern_means_every_host_below_it(labels: list[str], cut: int) -> None:
    host = ".".join([*labels, "api"])
    assert _hosts_meet(host, "*." + ".".join([*labels, "api"][min(cut, len(labels) - 1) + 1 :]))
    assert _hosts_meet("*.api", host)
