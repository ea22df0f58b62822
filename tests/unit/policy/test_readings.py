import pytest

from ott_extauthz.policy.readings import decoded, is_refused, readings_of


@pytest.mark.parametrize(
    ("text", "once"),
    [
        ("/a", "/a"),
        ("/%61%2F", "/a/"),
        ("/%2561", "/%61"),
        ("/%", "/%"),
        ("/%6", "/%6"),
        ("/%zz%41", "/%zzA"),
        ("/%C3%a9", "/\xc3\xa9"),
        ("/%+1%-1% 1", "/%+1%-1% 1"),
    ],
)
def test_decoding_takes_exactly_one_layer_off_and_leaves_what_is_no_escape(text: str, once: str) -> None:
    assert decoded(text) == once


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/b/", "/a.b/..c/...", "/caf%C3%A9", "/100%25", "/a;x=1/b", "/a%3Bb", "/a%3Fb"]
)
def test_what_keeps_its_structure_in_every_reading_is_not_refused(path: str) -> None:
    assert not is_refused(path)


@pytest.mark.parametrize("path", ["/a%252fb", "/a%25252fb", "/a%2525252f/x", "/%25252e%25252e/x"])
def test_separators_and_dots_are_sought_through_three_layers_of_encoding(path: str) -> None:
    assert is_refused(path) == (path != "/a%2525252f/x")


@pytest.mark.parametrize("path", ["/", "/a", "/v1/wallets/w-42/debit", "/caf%C3%A9", "/100%25", "/a%20b", "/a/"])
def test_an_ordinary_path_has_no_other_reading(path: str) -> None:
    assert readings_of(path) == ()


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("/admin;x=1", "/admin"),
        ("/admin;x=1/y;z", "/admin/y"),
        ("/%2561dmin", "/admin"),
        ("/admin%3Bx", "/admin"),
        ("/admin%253Bx", "/admin"),
        ("/admin%3Fx/y", "/admin"),
        ("/%40admin", "/@admin"),
        ("/%2561dmin;x", "/admin"),
        ("/%2561dmin%3Bx%3Fy", "/admin"),
    ],
)
def test_what_a_server_may_make_of_a_path_is_listed(path: str, other: str) -> None:
    assert other in readings_of(path)
    assert path not in readings_of(path)
