"""The compiled table answers as the manual says: a slow reference, written from the documented order, agrees."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hypothesis import event, given, settings
from hypothesis import strategies as st

from ott_extauthz.model.facts import Headers
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.conditions import Conditions
from ott_extauthz.policy.routes import CredentialKind, Match, Route
from ott_extauthz.policy.table import RouteTable
from ott_extauthz.policy.target import CanonicalTarget, canonical_target
from ott_extauthz.policy.template import template_from

HOSTS = ["a", "b.a", "c.b.a", "a:8", "b.a:8", "c.b.a:9", "z"]
PATTERNS = [None, None, None, "*.a", "*.a", *HOSTS, "*.a", "*.b.a", "*.a:8", "*.b.a:9"]
PATHS = ["/", "/x", "/x/", "/{p}", "/{p}/", "/x/y", "/x/{p}", "/{p}/y", "/{p}/{q}", "/{r**}", "/x/{r**}", "/{p}/{r**}"]
PATHS += ["/X", "/x/Y"]
ASKED = ["/", "/x", "/x/", "/y", "/y/", "/x/y", "/x/y/", "/x/z", "/z/y", "/z/z", "/x/y/z", "/z/y/x/"]
ASKED += ["/X", "/X/y", "/x/Y/", "/z/Y"]
VALUES = [("1",), ("2",), ("",), ("1", "1"), ("1,2",), ("x 1",)]


@dataclass(frozen=True)
class Row:
    """One route as written."""

    host: str | None
    method: str | None
    path: str
    headers: tuple[tuple[str, str | None], ...]
    name: str

    def entry(self) -> tuple[Match, Route]:
        match = Match(
            template=template_from(self.path),
            hosts=None if self.host is None else (self.host,),
            methods=None if self.method is None else (self.method,),
            conditions=Conditions(self.headers),
        )
        return match, Route(name=self.name, credential=CredentialKind.PUBLIC)


rows = st.builds(
    Row,
    host=st.sampled_from(PATTERNS),
    method=st.sampled_from([None, None, "GET", "POST"]),
    path=st.sampled_from(PATHS),
    headers=st.dictionaries(st.sampled_from(["h", "k"]), st.sampled_from(["1", "2", None]), max_size=2).map(
        lambda found: tuple(sorted(found.items()))
    ),
    name=st.just(""),
)


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows that do not want the same requests."""
    kept: list[Row] = []
    for number, row in enumerate(draw(st.lists(rows, min_size=2, max_size=12))):
        named = Row(row.host, row.method, row.path, row.headers, f"r{number}")
        try:
            RouteTable(other.entry() for other in [*kept, named])
        except ValueError:
            continue
        kept.append(named)
    return kept


def split(host: str) -> tuple[str, str]:
    name, colon, port = host.partition(":")
    return name, colon + port


def covers(pattern: str | None, host: str) -> bool:
    if pattern is None:
        return True
    (wanted, wanted_port), (name, port) = split(pattern), split(host)
    fits = name != wanted[2:] and name.endswith(wanted[1:]) if wanted.startswith("*.") else name == wanted
    return fits and port == wanted_port


def host_order(pattern: str | None) -> tuple[int, int]:
    if pattern is None:
        return 2, 0
    return (1, -len(pattern.split("."))) if pattern.startswith("*.") else (0, 0)


def kinds(path: str) -> list[str]:
    return ["rest" if "**" in part else "{" if part.startswith("{") else part for part in path.strip("/").split("/")]


def takes(path: str, asked: str) -> bool:
    """Whether the template takes the path, a trailing slash and the case of letters aside."""
    wanted, found = kinds(path), parts(asked)
    if wanted[-1] == "rest" and len(found) >= len(wanted):
        wanted = wanted[:-1] + ["{"] * (len(found) - len(wanted) + 1)
    return len(wanted) == len(found) and all(
        part != "" if kind == "{" else part.lower() == kind.lower() for kind, part in zip(wanted, found, strict=True)
    )


def parts(asked: str) -> list[str]:
    return asked.rstrip("/").split("/")[1:] or [""]


EXACT, OTHER_CASE, PARAMETER, REST = range(4)


def path_order(path: str, asked: str) -> list[int]:
    return [
        {"{": PARAMETER, "rest": REST}.get(kind, EXACT if kind == part else OTHER_CASE)
        for kind, part in zip(kinds(path), parts(asked), strict=False)
    ]


def by_headers(of: list[Row], headers: Headers) -> str | Reason:
    decide = {name for row in of for name, _ in row.headers}
    for name in decide:
        if len(headers.get(name, ())) > 1 or any("," in value for value in headers.get(name, ())):
            return Reason.HEADER_DUPLICATED
    fitting = [row for row in of if all(fits(wanted, headers.get(name)) for name, wanted in row.headers)]
    for row in sorted(fitting, key=lambda row: (len(row.headers), sum(v is not None for _, v in row.headers)))[-1:]:
        if not any(name in headers for name in decide - {name for name, _ in row.headers}):
            return row.name
    return Reason.ROUTE_CONDITION_UNMET


def fits(wanted: str | None, values: tuple[str, ...] | None) -> bool:
    return values is not None and values[0] != "" and wanted in (None, values[0])


def selected(of: list[Row], method: str, host: str, asked: str, headers: Headers) -> str | Reason:
    """The first template that answers, in the documented order."""
    matching = [row for row in of if covers(row.host, host) and takes(row.path, asked)]
    groups: dict[tuple[tuple[int, int], tuple[int, ...]], list[Row]] = {}
    for row in matching:
        groups.setdefault((host_order(row.host), tuple(path_order(row.path, asked))), []).append(row)
    is_left_out = is_passed_by = False
    for (_, order), group in sorted(groups.items()):
        answering = [row for row in group if row.method == method]
        answering = answering or [row for row in group if row.method is None and not is_left_out]
        if not answering:
            is_left_out = True
        elif OTHER_CASE not in order and (
            "**" in group[0].path or asked == "/" or group[0].path.endswith("/") == asked.endswith("/")
        ):
            return Reason.PATH_AMBIGUOUS if is_passed_by else by_headers(answering, headers)
        else:
            is_passed_by = True
    return Reason.ROUTE_UNKNOWN


def other_hosts(of: list[Row], host: str) -> Iterator[str]:
    name, port = split(host)
    levels: dict[str, set[str]] = {}
    for row in of:
        level, level_port = split(row.host or "")
        if row.host is not None and covers(level, name):
            levels.setdefault(level, set()).add(level_port)
    for ports in levels.values():
        if port not in ports:
            yield from (name + other for other in ports)


def reference(of: list[Row], method: str, host: str, asked: str, headers: Headers) -> str | Reason:
    chosen = selected(of, method, host, asked, headers)
    if isinstance(chosen, Reason):
        return chosen
    same = all(selected(of, method, other, asked, headers) == chosen for other in other_hosts(of, host))
    return chosen if same else Reason.PATH_AMBIGUOUS


def target_of(host: str, path: str) -> CanonicalTarget:
    found = canonical_target("GET", "https", host, path)
    assert isinstance(found, CanonicalTarget)
    return found


requests = st.tuples(
    st.sampled_from(["GET", "POST", "HEAD"]),
    st.sampled_from([*HOSTS, "d.c.b.a", "xb.a", "b.a:9", "q.b.a:8", "q:8"]),
    st.sampled_from(ASKED),
    st.dictionaries(st.sampled_from(["h", "k"]), st.sampled_from(VALUES)),
)


@given(of=tables(), asked=st.lists(requests, min_size=1, max_size=6))
@settings(max_examples=600, deadline=None)
def test_the_table_agrees_with_the_reference(
    of: list[Row], asked: list[tuple[str, str, str, Mapping[str, tuple[str, ...]]]]
) -> None:
    table = RouteTable(row.entry() for row in of)
    for method, host, path, headers in asked:
        found = table.match(method, target_of(host, path), headers)
        answer = found.reason if isinstance(found, Rejection) else found.name
        assert answer == reference(of, method, host, path, headers), (method, host, path, headers)
        event(answer if isinstance(answer, Reason) else "a route")


@given(of=tables(), asked=requests, name=st.sampled_from(["r0", "r1", "r9"]))
@settings(max_examples=300, deadline=None)
def test_a_name_never_brings_more_than_the_table_itself(
    of: list[Row], asked: tuple[str, str, str, Mapping[str, tuple[str, ...]]], name: str
) -> None:
    table = RouteTable(row.entry() for row in of)
    method, host, path, headers = asked
    by_name = table.named(name, method, target_of(host, path), headers)
    if isinstance(by_name, Route):
        assert by_name is table.match(method, target_of(host, path), headers)
        assert by_name.name == name


@given(of=tables(), asked=requests)
@settings(max_examples=300, deadline=None)
def test_a_header_more_never_opens_a_route_that_does_not_name_it(
    of: list[Row], asked: tuple[str, str, str, Mapping[str, tuple[str, ...]]]
) -> None:
    """Conditions narrow: whatever answers with the headers and names none of them answers without them too."""
    table = RouteTable(row.entry() for row in of)
    method, host, path, headers = asked
    found = table.match(method, target_of(host, path), headers)
    named = {row.name: row.headers for row in of}
    if isinstance(found, Route) and not named[found.name]:
        assert table.match(method, target_of(host, path), {}) is found
