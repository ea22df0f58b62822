"""A component identifier is one of a request's, in one spelling, or none."""

import pytest

from ott_extauthz.model.message_component import component_from


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("@method", '"@method"'),
        ('"@method"', '"@method"'),
        ("content-type", '"content-type"'),
        ('"@query-param";name="id"', '"@query-param";name="id"'),
        ('"@query-param";  name="a%22b"', '"@query-param";name="a%22b"'),
        ('"x";bs', '"x";bs'),
        ('"x";key="a"', '"x";key="a"'),
        ('"x";sf;key="a"', '"x";sf;key="a"'),
        ('"content-digest";sf', '"content-digest";sf'),
        (r'"x";key="a\"b"', r'"x";key="a\"b"'),
        ("x_brand", '"x_brand"'),
    ],
)
def test_a_component_has_one_spelling(text: str, spelt: str) -> None:
    assert str(component_from(text)) == spelt
    assert component_from(spelt) == component_from(text)


def test_the_order_of_parameters_is_kept_and_makes_no_other_component() -> None:
    one, other = component_from('"x";sf;key="a"'), component_from('"x";key="a";sf')
    assert one.identity == other.identity
    assert str(one) != str(other)
    assert component_from('"x";key="a"').identity != component_from('"x";key="b"').identity


@pytest.mark.parametrize(
    "text",
    [
        "", "@status", "@signature-params", "@query-params", "@", "Content-Type", "content type", "a\nb", "é", "x;bs",
        '"x', '"x";req', '"x";tr', '"x";bs;key="a"', '"x";sf', '"x";bs=?0', '"x";sf=1', '"x";key', '"x";key=a',
        '"x";key=1', '"x";other', '"x";bs;bs', '"@path";bs', '"@query-param"', '"@query-param";name', "@query-param",
        '"@query-param";name="a";sf', '"@query-param";name=?1', '"x" "y"', '"x", "y"', '("x")', '"é"', '"x";key="é"',
        '"' + "x" * 600 + '"', "x" * 300,
    ],
)  # fmt: skip
def test_what_no_request_has_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - one kind of error, whatever is wrong
        component_from(text)
