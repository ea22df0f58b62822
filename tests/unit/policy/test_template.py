import pytest

from ott_extauthz.policy.template import Template, template_from


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("/", Template("/", ("",))),
        ("/healthz", Template("/healthz", ("healthz",))),
        ("/v1/{wallet}/debit", Template("/v1/{wallet}/debit", ("v1", None, "debit"))),
        ("/files/{path**}", Template("/files/{path**}", ("files",), takes_rest=True)),
        ("/{all**}", Template("/{all**}", (), takes_rest=True)),
        ("/a/{b}/", Template("/a/{b}/", ("a", None), ends_in_slash=True)),
        ("/caf%C3%A9/x:cancel", Template("/caf%C3%A9/x:cancel", ("caf%C3%A9", "x:cancel"))),
        ("/100%25", Template("/100%25", ("100%25",))),
        ("*", Template("*", ())),
        ("/*", Template("/*", ("*",))),
    ],
)
def test_a_template_is_literals_parameters_and_a_rest(text: str, template: Template) -> None:
    assert template_from(text) == template


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "starts with /"),
        ("v1", "starts with /"),
        ("**", "starts with /"),
        ("//", "empty"),
        ("/a//b", "empty"),
        ("/{a}/{a}", "twice"),
        ("/{a}/{a**}", "twice"),
        ("/{a**}/b", "nothing may follow"),
        ("/{a**}/", "nothing may follow"),
        ("/{a**}/{b**}", "nothing may follow"),
        ("/{a}.json", "whole segment"),
        ("/x-{a}", "whole segment"),
        ("/{a*}", "whole segment"),
        ("/{}", "whole segment"),
        ("/{1}", "whole segment"),
        ("/{a", "whole segment"),
        ("/a}", "whole segment"),
        ("/a;v=1", "';'"),
        ("/..", "path_ambiguous"),
        ("/a%2fb", "path_ambiguous"),
        ("/a b", "path_malformed"),
        ("/a%zz", "path_malformed"),
        ("/café", "path_malformed"),
        ("/a?b", "write the shortest spelling"),
        ("/a#b", "path_malformed"),
    ],
)
def test_a_template_that_could_never_be_right_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        template_from(text)


@pytest.mark.parametrize(
    ("text", "shortest"),
    [("/%61dmin", "admin"), ("/caf%c3%a9", "caf%C3%A9"), ("/%40me", "@me"), ("/%2561", "%61|a"), ("/a%3Bb", "a;b|a")],
)
def test_a_literal_stands_in_the_spelling_that_requests_are_brought_to(text: str, shortest: str) -> None:
    with pytest.raises(ValueError, match=shortest):
        template_from(text)


def test_names_and_a_trailing_slash_do_not_tell_templates_apart() -> None:
    assert template_from("/a/{x}").shape == template_from("/a/{y}/").shape
    assert template_from("/a/{x}").shape != template_from("/a/{x**}").shape
    assert template_from("*").shape != template_from("/").shape
