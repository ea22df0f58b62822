import pytest

from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.policy.target import MAX_PATH_CHARACTERS, CanonicalTarget, canonical_target, other_readings


def of(path: str, *, method: str = "GET", host: str = "api") -> CanonicalTarget | Rejection:
    return canonical_target(method, "https", host, path)


def accepted(path: str) -> CanonicalTarget:
    target = of(path)
    assert isinstance(target, CanonicalTarget)
    return target


@pytest.mark.parametrize(
    ("path", "canonical", "segments"),
    [
        ("/", "/", ("",)),
        ("/a", "/a", ("a",)),
        ("/a/", "/a/", ("a", "")),
        ("/a/b", "/a/b", ("a", "b")),
        ("/%61dmin", "/admin", ("admin",)),
        ("/%41%7e%5F%2d%30", "/A~_-0", ("A~_-0",)),
        ("/a%2eb", "/a.b", ("a.b",)),
        ("/caf%c3%a9", "/caf%C3%A9", ("caf%C3%A9",)),
        ("/a%20b", "/a%20b", ("a%20b",)),
        ("/100%25", "/100%25", ("100%25",)),
        ("/%25zz", "/%25zz", ("%25zz",)),
        ("/%2561dmin", "/%2561dmin", ("%2561dmin",)),
        ("/a;v=1/b", "/a;v=1/b", ("a;v=1", "b")),
        ("/v1/x:cancel@$&'()*+,=!~._-", "/v1/x:cancel@$&'()*+,=!~._-", ("v1", "x:cancel@$&'()*+,=!~._-")),
        ("/.well-known/..a/a../...", "/.well-known/..a/a../...", (".well-known", "..a", "a..", "...")),
    ],
)
def test_a_path_has_one_spelling(path: str, canonical: str, segments: tuple[str, ...]) -> None:
    assert of(path) == CanonicalTarget("api", canonical, "", segments)


@pytest.mark.parametrize(
    ("path", "query"),
    [("/a?", ""), ("/a?x=1", "x=1"), ("/a?x=%2f../&y=?//\\%zz", "x=%2f../&y=?//\\%zz"), ("/a??", "?")],
)
def test_the_query_starts_at_the_first_question_mark_and_is_kept_as_it_came(path: str, query: str) -> None:
    assert of(path) == CanonicalTarget("api", "/a", query, ("a",))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "?/a",
        "http://api/a",
        "api:443",
        "*",
        "/a%zz",
        "/a%2",
        "/a%",
        "/a%%41",
        "/a#b",
        "/a?x#b",
        "/a b",
        "/a\tb",
        "/a\nb",
        "/a\r\nb",
        "/a\0b",
        "/a\x7fb",
        "/caf\xe9",
        "/caf\u00c3\u00a9",
        "/\u2215",
        "/\ud800",
        "/a?caf\xe9",
        "/a?x y",
        '/a"b',
        "/a<b>",
        "/a[b]",
        "/a{b}",
        "/a|b",
        "/a^b",
        "/a`b",
    ],
)
def test_bytes_that_no_path_may_hold_are_malformed(path: str) -> None:
    assert of(path) == Rejection(Reason.PATH_MALFORMED)


@pytest.mark.parametrize(
    "path",
    [
        *("//", "//a", "/a//b", "/a//", "/;x/a", "/a/;x", "/%3Bx/a", "/%253Bx", "/%3Fx"),
        *("/.", "/..", "/./a", "/a/.", "/a/..", "/a/../b", "/../a", "/a/./", "/.?x"),
        *("/%2e", "/%2e%2E/a", "/.%2e", "/%252e", "/%252e%252e/a", "/.%252e", "/%25%32%65"),
        *("/.;/x", "/..;/x", "/..;v=1/x", "/%2e%2e;/x", "/..%3b/x", "/..%253b/x", "/%252e%252e%253bv/x", "/.%3Fx"),
        *("/a%2fb", "/a%2Fb", "/a%252fb", "/a%252Fb", "/%2f", "/a%2f"),
        *("/a%5cb", "/a%5Cb", "/a%255cb", "/a\\b", "/\\", "/a\\..\\b"),
        *("/a%00", "/a%2500", "/a%0a", "/a%0D%0Ax", "/a%7f", "/a%1F", "/a%250a", "/a%23b", "/a%2523b"),
        *(
            "/%c0%ae%c0%ae/a",
            "/a%c0%afb",
            "/%e0%80%af",
            "/%f0%80%80%af",
            "/%25c0%25af",
            "/caf%E9",
            "/%ff",
            "/%ed%a0%80",
        ),
    ],
)
def test_what_servers_read_differently_is_ambiguous(path: str) -> None:
    assert of(path) == Rejection(Reason.PATH_AMBIGUOUS)


def test_the_asterisk_is_a_target_of_options_only() -> None:
    assert of("*", method="OPTIONS") == CanonicalTarget("api", "*", "", ())
    assert of("*", method="GET") == Rejection(Reason.PATH_MALFORMED)
    assert of("*?x", method="OPTIONS") == Rejection(Reason.PATH_MALFORMED)
    assert of("/*", method="OPTIONS") == CanonicalTarget("api", "/*", "", ("*",))


def test_an_endless_path_is_refused_before_its_readings_are_told_apart() -> None:
    assert isinstance(of("/" + "a" * (MAX_PATH_CHARACTERS - 1)), CanonicalTarget)
    assert of("/" + "a" * MAX_PATH_CHARACTERS) == Rejection(Reason.PATH_MALFORMED)
    assert isinstance(of("/a?" + "q" * 50_000), CanonicalTarget)


@pytest.mark.parametrize(
    "method", ["", "get", "Get", "GET ", " GET", "GE T", "GET\n", "G\0", "GÉT", "GET/", "A" * 65, "(GET)"]
)
def test_a_method_is_an_upper_case_token(method: str) -> None:
    assert of("/a", method=method) == Rejection(Reason.REQUEST_MALFORMED)


@pytest.mark.parametrize("method", ["GET", "POST", "M-SEARCH", "PROPFIND", "VERSION-CONTROL", "X_1!"])
def test_any_upper_case_token_is_a_method(method: str) -> None:
    assert isinstance(of("/a", method=method), CanonicalTarget)


@pytest.mark.parametrize("host", ["", "a,b", "user@api"])
def test_a_host_outside_its_grammar_is_told_apart_from_a_bad_path(host: str) -> None:
    assert of("/a%zz", host=host) == Rejection(Reason.HOST_MALFORMED)


def test_other_readings_are_segments_and_usually_none() -> None:
    assert other_readings(accepted("/v1/wallets/w-42/debit")) == ()
    assert other_readings(accepted("/a/")) == ()
    assert other_readings(accepted("/admin;x/y")) == (("admin", "y"),)
    assert ("admin",) in other_readings(accepted("/%2561dmin"))
