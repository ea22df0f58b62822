"""Whatever stands in a policy file: a policy or a DocumentError, and nothing else."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ott_extauthz.documents.problems import DocumentError
from ott_extauthz.policy.document import policy_from, policy_from_files
from ott_extauthz.policy.document.agreement.crossings import Crossings, is_narrower, may_meet
from ott_extauthz.policy.template import Template, template_from

KEYS = [
    *("revision", "roles", "clients", "routes", "name", "match", "credential", "audience", "bound_to", "unbound"),
    *("scopes", "max_auth_age", "from", "header", "scheme", "hosts", "methods", "path", "headers", "grpc", "service"),
    *("method", "client_id", "spiffe_id", "sha256", "may_call", "audiences", "present", "x-a", "content-type"),
]
WORDS = [
    *("r1", "a", "b", "public", "one_time_token", "/a", "/{x}", "/{x**}", "/a/", "*", "*.api", "a.api", "GET", "POST"),
    *(
        "OPTIONS",
        "certificate",
        "accept the risk",
        "5m",
        "rgs",
        "spiffe://a/b",
        "ab" * 32,
        "a*",
        "pkg.S",
        "\0",
        "é",
        "",
    ),
]
leaves = st.sampled_from(WORDS) | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=5),
    max_leaves=20,
)


def rule(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with these keys, each well-formed, wrong or left out."""
    mixed = {name: field | field | field | values for name, field in fields.items()}
    return st.fixed_dictionaries({}, optional=mixed)


def some(*words: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(words), min_size=1, max_size=2, unique=True)


names = st.sampled_from(["a", "b", "c"])
matches = rule(
    hosts=some("a.api", "*.api", "b"),
    methods=some("GET", "POST"),
    path=st.sampled_from(["/a", "/{x}", "/{x**}", "/a/"]),
    headers=st.dictionaries(st.sampled_from(["x-a", "x-b"]), st.sampled_from(["1", "2"]) | st.just({"present": True})),
    grpc=rule(service=st.just("p.S"), method=st.just("M")),
)
routes = rule(
    name=names, match=matches, credential=st.sampled_from(["public", "one_time_token"]), audience=st.just("a.api"),
    clients=some("rgs", "b"), roles=some("payer", "x"), scopes=some("pay", "read"),
)  # fmt: skip
clients = rule(
    client_id=st.sampled_from(["rgs", "b"]), sha256=st.just("ab" * 32), roles=some("payer"),
    may_call=rule(routes=some("a", "*", "c"), hosts=some("a.api", "*.api")),
)  # fmt: skip
documents = rule(
    revision=st.just("r1"),
    roles=st.just({"payer": ["pay"]}),
    clients=st.lists(clients, max_size=2),
    routes=st.lists(routes, max_size=4),
)


def tried(*texts: str) -> None:
    """Fail for anything but a policy and problems of one line each."""
    problems: list[str] | None = None
    try:
        policy_from_files([(text, f"{index}.yaml") for index, text in enumerate(texts)])
    except DocumentError as error:
        problems = [str(problem) for problem in error.problems]
    assert problems != []
    assert not any("\n" in problem for problem in problems or ())


@given(st.text() | st.text(alphabet="{}[]:,-&*!|>'\"# \n\tab1"))
@settings(max_examples=500, deadline=None)
def test_any_text_is_a_policy_or_a_document_error(text: str) -> None:
    tried(text)


@given(st.lists(documents | values, min_size=1, max_size=2))
@settings(max_examples=600, deadline=None)
def test_any_data_is_a_policy_or_a_document_error(data: list[Any]) -> None:
    """JSON is YAML, but for what YAML calls no printable character; json escapes it."""
    tried(*map(json.dumps, data))


@given(st.lists(routes, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_policy_that_loads_has_every_route_it_was_given(data: list[Any]) -> None:
    """What ``disagreements`` lets pass never fails to compile, and nothing is dropped."""
    text = json.dumps({"revision": "r", "routes": data})
    try:
        found = policy_from(text, "p.yaml")
    except DocumentError:
        return
    assert [route.name for route in found.table.routes] == [entry["name"] for entry in data]


templates = st.builds(
    lambda segments, end: template_from("/" + "/".join(segments) + end),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=3).flatmap(
        lambda found: st.tuples(*(st.sampled_from([name, f"{{p{index}}}"]) for index, name in enumerate(found)))
    ),
    st.sampled_from(["", "", "/", "/{r**}"]),
)


@given(st.lists(templates, max_size=8), templates)
@settings(max_examples=400, deadline=None)
def test_the_tree_of_crossings_overlooks_no_template_that_meets(known: list[Template], asked: Template) -> None:
    tree = Crossings()
    for number, template in enumerate(known):
        tree.add(template, number)
    near = list(tree.near(asked))
    assert len(near) == len(set(near))
    assert {number for number, template in enumerate(known) if may_meet(template, asked)} <= set(near)
    assert all(may_meet(asked, template) for template in known if is_narrower(asked, template) and template.takes_rest)
