"""The rules as a whole: each is found by some case, each is told in the manual, and nothing odd stops the linter."""

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ott_extauthz.envoy_lint.document import Document
from ott_extauthz.envoy_lint.kubernetes import RULES, findings
from tests.unit.envoy_lint.kubernetes.manifests import PEER, UNTOLD, XFCC, edited, faults, good, told

HERE = Path(__file__).parent
PAGE = HERE.parents[3] / "docs" / "lint-envoy-kubernetes.md"


def test_each_rule_has_a_name_of_its_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES) > 40


def test_each_rule_is_found_by_some_case() -> None:
    written = {fault.rule for name in ("istio", "envoy-gateway") for fault in faults(name)}
    code = (HERE / "test_istio.py").read_text() + (HERE / "test_envoy_gateway.py").read_text()
    assert {rule.name for rule in RULES if rule.name not in written and f'"{rule.name}"' not in code} == set()
    assert written <= {rule.name for rule in RULES}


def test_the_manual_tells_each_rule_as_the_code_has_it() -> None:
    page = PAGE.read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{rule.name}` | {rule.severity} | {rule.title} {rule.why} | {rule.mend} |" for rule in RULES]


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["CUSTOM", "1s", "*", "ott"])
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def _paths(tree: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(found for key, value in inner for found in _paths(value, (*path, key)))]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_nothing_that_stands_anywhere_stops_the_linter(data: st.DataObject) -> None:
    """Manifests come from people and templates: a wrong shape is for the API server to refuse."""
    name = data.draw(st.sampled_from(["istio", "envoy-gateway"]))
    objects = edited(good(name), data.draw(st.sampled_from(faults(name))).edit)
    which = data.draw(st.sampled_from(objects))
    place = data.draw(st.sampled_from([path for path in _paths(which) if path]))
    part: Any = which
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = data.draw(_TREES)
    documents = [Document(name="x", tree=one) for one in objects]
    for expected in (XFCC, PEER, UNTOLD):
        for finding in findings(documents, expected):
            assert finding.rule.name in {rule.name for rule in RULES}
            assert finding.detail


def test_a_mesh_nested_beyond_reason_is_unreadable_and_no_crash() -> None:
    deep = {"kind": "ConfigMap", "metadata": {"name": "istio"}, "data": {"mesh": "[" * 20_000}}
    assert told([deep], UNTOLD) == [("istio-mesh-unreadable", "ConfigMap/istio data.mesh")]
