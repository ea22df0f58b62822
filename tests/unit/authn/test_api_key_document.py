"""What is wrong with an ``api-keys.yaml``?  Everything at once, each at its place."""

from ipaddress import ip_network

import pytest

from ott_extauthz.authn.api_key_document import key_file_from, key_file_text
from ott_extauthz.authn.api_key_entry import instant_from, instant_text
from ott_extauthz.documents.problems import DocumentError
from tests.fakes.api_keys import made

KEY, OTHER = made(1), made(2)
GOOD = f"""keys:
  - id: "{KEY.id}"
    sha256: {KEY.digest.hex()}
    client_id: rgs
    created: 2026-11-01T00:00:00Z
    expires: 2027-01-30T00:00:00Z
    scopes: ["wallet:debit"]
    cidr: [10.0.0.0/8, "::ffff:192.0.2.0/120"]
    brands: [A, B]
    certificate: {"ab" * 32}
    note: of the old ERP
"""


def problems(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(DocumentError) as caught:
        key_file_from(text, "api-keys.yaml")
    return [(each.line, each.field, each.message) for each in caught.value.problems]


def test_an_entry_means_what_it_says() -> None:
    key = key_file_from(GOOD, "api-keys.yaml").compiled()[KEY.id]
    assert key.digest == KEY.digest
    assert key.scopes == {"wallet:debit"}
    assert key.limits is not None
    assert key.limits.cidr == (ip_network("10.0.0.0/8"), ip_network("192.0.2.0/24"))
    assert key.limits.brand == frozenset("AB")
    assert key.certificate == bytes.fromhex("ab" * 32)
    assert key.expires_at_ms - key.created_at_ms == 90 * 86_400_000


def test_what_is_written_is_read_back_the_same() -> None:
    file = key_file_from(GOOD, "api-keys.yaml")
    text = key_file_text(file.keys)
    assert text.endswith("\n")
    assert key_file_from(text, "api-keys.yaml") == file


def test_a_key_without_limits_has_none() -> None:
    lines = [line for line in GOOD.splitlines() if not line.strip().startswith(("cidr", "brands", "certificate"))]
    key = key_file_from("\n".join(lines), "api-keys.yaml").compiled()[KEY.id]
    assert (key.limits, key.certificate) == (None, None)


def test_every_problem_is_told_at_its_place_and_quotes_no_hash() -> None:
    bad = (
        GOOD.replace("  - id", "  - ident: 1\n    id").replace("client_id: rgs", 'client_id: "r g s"')
        .replace("2027-01-30T00:00:00Z", "2027-01-30").replace("10.0.0.0/8", "10.0.0.1/8")
        .replace("[A, B]", "[]").replace("ab" * 32, "AB" * 32)
    )  # fmt: skip
    found = problems(bad)
    assert {field.removeprefix("keys[0].") for _, field, _ in found} == {
        "ident", "client_id", "expires", "cidr[0]", "brands", "certificate",
    }  # fmt: skip
    assert all(line for line, _, _ in found)
    assert not any(KEY.digest.hex() in message for _, _, message in found)


@pytest.mark.parametrize(
    ("old", "new", "field", "told"),
    [
        ("    expires: 2027-01-30T00:00:00Z\n", "", "expires", "required"),
        ("2027-01-30T00:00:00Z", "2028-11-02T00:00:00Z", "expires", "more than 731 days"),
        ("2027-01-30T00:00:00Z", "2026-10-31T00:00:00Z", "expires", "before it was made"),
        ("2027-01-30T00:00:00Z", "2027-01-30T00:00:00", "expires", "an instant is written"),
        (KEY.digest.hex(), KEY.text, "sha256", "a SHA-256"),
        (KEY.id, "short", "id", "an id is 11"),
        ("[A, B]", "[A, A]", "brands", "twice"),
        ("[10.0.0.0/8,", "[10.0.0.0/8, 10.0.0.0/8,", "cidr", "twice"),
    ],
)
def test_a_field_that_would_widen_a_key_is_a_problem(old: str, new: str, field: str, told: str) -> None:
    assert old in GOOD
    [(_, where, message)] = problems(GOOD.replace(old, new))
    assert where == f"keys[0].{field}"
    assert told in message
    assert KEY.text not in message


def test_an_id_or_a_hash_that_stands_twice_is_a_problem() -> None:
    second = GOOD.partition("\n")[2]
    found = problems(GOOD + second)
    assert [(field, message) for _, field, message in found] == [
        ("keys[1].id", "stands twice"),
        ("keys[1].sha256", "stands twice"),
    ]
    assert [field for _, field, _ in problems(GOOD + second.replace(KEY.id, OTHER.id))] == ["keys[1].sha256"]


def test_a_repetition_is_told_beside_what_else_is_wrong() -> None:
    second = GOOD.partition("\n")[2].replace("client_id: rgs", "client_id: 7")
    fields = {field for _, field, _ in problems(GOOD + second)}
    assert fields == {"keys[1].id", "keys[1].sha256", "keys[1].client_id"}


def test_half_of_a_file_and_an_empty_one_are_no_files() -> None:
    for text in ("", "keys:\n", "[]\n", GOOD[: len(GOOD) // 3]):
        assert problems(text)


def test_instants_are_kept_to_the_second() -> None:
    assert instant_text(1_795_000_000_999) == "2026-11-18T11:06:40Z"
    assert instant_from("2026-11-18T12:06:40+01:00") == 1_795_000_000_000
