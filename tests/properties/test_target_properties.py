"""Whatever a caller sends: no crash, one spelling, and no reading of a path that leads to another route.

The upstream here is a model of what real servers do, written apart from the code under test: it decodes up to twice,
drops path parameters, splits at hidden `?` and `#`, turns backslashes, merges slashes, resolves dots, stops at NUL, and
does these in any order.
"""

import re
import string
from collections.abc import Callable, Iterator

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.routes import CredentialKind, Match, Route
from ott_extauthz.policy.table import RouteTable
from ott_extauthz.policy.target import CanonicalTarget, canonical_target, other_readings
from ott_extauthz.policy.template import template_from

TEMPLATES = (
    "/admin",
    "/admin/{x}/keys",
    "/admin/@me",
    "/pub/info",
    "/pub/{x**}",
    "/slash/",
    "/{a}/info",
    "/{a}/{b}",
    "/{a}",
)
TABLE = RouteTable(
    (Match(template=template_from(text)), Route(name=text, credential=CredentialKind.PUBLIC)) for text in TEMPLATES
)
WORDS = ["admin", "pub", "info", "keys", "slash", "@me", "z"]
UNRESERVED = string.ascii_letters + string.digits + "-._~"

pieces = st.sampled_from(
    [
        *(
            "/",
            "/",
            "/",
            "admin",
            "pub",
            "info",
            "keys",
            "slash",
            "@me",
            "%40me",
            "a",
            "b",
            "%61dmin",
            "%2561dmin",
            "%61",
        ),
        *(
            ";",
            ";x=1",
            ";/",
            "%3B",
            "%3b",
            "%253B",
            "?",
            "%3F",
            "%253f",
            "#",
            "%23",
            "%2523",
            "%",
            "%25",
            "%2525",
            "%zz",
        ),
        *(
            ".",
            "..",
            "%2e",
            "%2E",
            "%252e",
            "%25252e",
            "..;",
            "//",
            "/./",
            "/../",
            "%2f",
            "%2F",
            "%252f",
            "\\",
            "%5c",
            "%255C",
        ),
        *(
            "%00",
            "%2500",
            "%0a",
            "%20",
            "+",
            "%2B",
            "%C3%A9",
            "%c3%a9",
            "%c0%ae",
            "%c0%af",
            "%E9",
            "é",
            " ",
            "\0",
            "\x7f",
        ),
    ]
)
evil_paths = st.lists(pieces, max_size=9).map("".join).map(lambda text: f"/{text}") | st.text(max_size=30)
segments = st.text(alphabet=UNRESERVED + "@:!$&'()*+,=", min_size=1, max_size=8).filter(
    lambda text: text not in (".", "..")
)
ordinary_paths = st.lists(st.sampled_from(WORDS) | segments, max_size=4).map(lambda found: "/" + "/".join(found))


@st.composite
def tricky_paths(draw: st.DrawFn) -> str:
    """Paths of which most are accepted: known words, each escaped as often as a server may decode, with a tail."""
    words = draw(
        st.lists(st.sampled_from(["admin", "pub", "info", "keys", "slash", "@me", "z"]), min_size=1, max_size=4)
    )
    tails = st.sampled_from(
        ["", "", "", "", ";x", ";x=1;y", "%3Bx", "%253Bx", "%3Fx", "%253Fx", "%20", "%C3%A9", "%25"]
    )
    for index, word in enumerate(words):
        at = draw(st.integers(0, len(word) - 1))
        escape = f"{draw(st.sampled_from(['', '%', '%25', '%2525']))}{ord(word[at]):02x}"
        words[index] = word[:at] + (escape if "%" in escape else word[at]) + word[at + 1 :] + draw(tails)
    return "/" + "/".join(words) + draw(st.sampled_from(["", "", "/", "/..", "//", "?/../x"]))


paths = tricky_paths() | evil_paths


def target_of(path: str) -> CanonicalTarget | Rejection:
    return canonical_target("GET", "https", "api", path)


@given(st.text(), st.text(), st.text(), st.text())
@settings(max_examples=300)
def test_no_text_whatever_raises(method: str, scheme: str, host: str, path: str) -> None:
    for found in (canonical_target(method, scheme, host, path), canonical_target("GET", scheme, "api", f"/{path}")):
        if isinstance(found, CanonicalTarget):
            other_readings(found)
            TABLE.match(method, found, {})


@given(st.binary(max_size=40))
def test_no_bytes_whatever_raise_and_none_beyond_ascii_are_accepted(raw: bytes) -> None:
    found = target_of("/" + raw.decode("latin-1"))
    assert isinstance(found, Rejection) or raw.isascii()


@given(paths)
@settings(max_examples=500)
def test_canonicalising_twice_equals_once(path: str) -> None:
    once = target_of(path)
    if isinstance(once, Rejection):
        return
    assert canonical_target("GET", "https", once.host, once.path) == CanonicalTarget(
        once.host, once.path, "", once.segments
    )


ESCAPED_UNRESERVED = re.compile("%(4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae]|3[0-9]|2[de])", re.IGNORECASE)


def decode(text: str) -> str:
    return re.sub("%([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), text)


def resolve_dots(text: str) -> str:
    kept: list[str] = []
    for segment in text.split("/")[1:]:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


HABITS: tuple[Callable[[str], str], ...] = (
    lambda text: re.sub(";[^/]*", "", text),
    lambda text: text.partition("?")[0],
    lambda text: text.partition("#")[0],
    lambda text: text.partition("\0")[0],
    lambda text: text.replace("\\", "/"),
    lambda text: re.sub("/+", "/", text),
    resolve_dots,
)


def read_by_upstreams(path: str) -> set[str]:
    """Return everything that some server or chain of two servers makes of ``path``.

    All of them hold escaped unreserved characters for the characters themselves (RFC 3986 §6.2.2.2).
    """
    texts = {ESCAPED_UNRESERVED.sub(lambda found: decode(found[0]), path)}
    found: set[str] = set()
    for _ in range(3):
        todo = list(texts)
        while todo:
            text = todo.pop()
            fresh = {habit(text) for habit in HABITS} - texts
            texts |= fresh
            todo.extend(fresh)
        found |= texts
        texts = {decode(text) for text in texts}
    return found


def served_by_upstream(text: str) -> str | None:
    """Return the template an upstream serves ``text`` under; a trailing slash makes no difference to it."""
    asked = text.strip("/").split("/")
    for template in TEMPLATES:
        wanted = template.strip("/").split("/")
        is_rest = wanted[-1].endswith("**}")
        if is_rest:
            wanted.pop()
        if (len(asked) > len(wanted)) if is_rest else len(asked) == len(wanted):
            pairs = zip(wanted, asked, strict=False)
            if all(want == have or (want.startswith("{") and have) for want, have in pairs):
                return template
    return None


@given(paths)
@example("/admin;x")
@example("/%2561dmin")
@example("/admin%3Fx")
@example("/admin/")
@example("/slash")
@example("/admin/%40me")
@example("/pub/..%253b/admin")
@settings(max_examples=1500)
def test_no_upstream_reads_an_accepted_path_as_a_path_of_another_route(path: str) -> None:
    target = target_of(path)
    route = target if isinstance(target, Rejection) else TABLE.match("GET", target, {})
    event(route.reason if isinstance(route, Rejection) else "accepted")
    if isinstance(route, Rejection):
        return
    for text in read_by_upstreams(path.partition("?")[0]):
        assert served_by_upstream(text) == route.name


@given(paths)
@settings(max_examples=500)
def test_an_accepted_path_satisfies_the_grammar_stated_apart(path: str) -> None:
    """RFC 3986 §3.3 segments, and no dot, empty or control segment in any reading."""
    if isinstance(target_of(path), Rejection):
        return
    raw = path.partition("?")[0]
    assert raw.isascii()
    assert all(
        re.fullmatch(r"(?:[\w.~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})*", segment, re.ASCII) for segment in raw.split("/")
    )
    for text in read_by_upstreams(raw):
        assert text.startswith("/")
        assert not re.search(r"[\x00-\x1f\x7f\\#]", text)
        assert all(segment not in (".", "..") for segment in text.split("/"))
        assert all(text[1:].split("/")[:-1])


def escaped(path: str, choices: list[int]) -> Iterator[str]:
    for index, character in enumerate(path):
        choice = choices[index % len(choices)]
        if character not in UNRESERVED or choice == 0:
            yield character
        else:
            yield f"%{ord(character):02{'xX'[choice - 1]}}"


@given(ordinary_paths, st.lists(st.integers(0, 2), min_size=1))
@example("/admin", [1])
@settings(max_examples=400)
def test_escaping_unreserved_characters_never_changes_the_route(path: str, choices: list[int]) -> None:
    """RFC 3986 §6.2.2.2: they are the same path."""
    plain, spelled = target_of(path), target_of("".join(escaped(path, choices)))
    assert plain == spelled
    assert isinstance(plain, CanonicalTarget)
    assert isinstance(spelled, CanonicalTarget)
    assert TABLE.match("GET", plain, {}) == TABLE.match("GET", spelled, {})


@given(ordinary_paths)
def test_an_ordinary_path_has_one_reading_and_is_kept_as_it_is(path: str) -> None:
    target = target_of(path)
    assert isinstance(target, CanonicalTarget)
    assert target.path == path
    assert other_readings(target) == ()


hosts = st.from_regex(r"[A-Za-z0-9_.:\[\]@,%-]{1,24}", fullmatch=True) | st.sampled_from(
    ["api.example.com", "API.example.com.:443", "[2001:DB8::1]:80", "10.0.0.1", "api_1:8443"]
)


@given(hosts, st.sampled_from(["http", "https"]))
@settings(max_examples=500)
def test_an_accepted_host_satisfies_the_grammar_stated_apart_and_is_its_own_spelling(host: str, scheme: str) -> None:
    found = canonical_target("GET", scheme, host, "/")
    if isinstance(found, Rejection):
        return
    name, colon, port = found.host.rpartition(":") if re.search(r":\d+\Z", found.host) else (found.host, "", "")
    assert not colon or (0 < int(port) < 65536 and not port.startswith("0"))
    assert (scheme, port) not in {("http", "80"), ("https", "443")}
    if name.startswith("["):
        assert set(name) <= set("[]:0123456789abcdef")
    else:
        labels = name.split(".")
        assert all(set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_") for label in labels)
        assert all(0 < len(label) < 64 and label.strip("-") == label for label in labels)
        assert not labels[-1].isdecimal() or [str(int(label)) for label in labels] == labels
    assert canonical_target("GET", scheme, found.host, "/") == found
    assert canonical_target("GET", scheme, host.upper(), "/") == found


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_model_of_an_upstream_serves_every_template_at_its_face(template: str) -> None:
    """A check on the model: were it blind, the properties above would hold for nothing."""
    path = template.replace("{x**}", "x/y").replace("{x}", "z").replace("{a}", "z").replace("{b}", "z")
    target = target_of(path)
    assert isinstance(target, CanonicalTarget)
    route = TABLE.match("GET", target, {})
    assert isinstance(route, Route)
    assert served_by_upstream(path) == route.name == template
