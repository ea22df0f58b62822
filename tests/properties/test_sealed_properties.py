"""Whatever is presented, opening it ends in a text or in a refusal."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.authn.sealed import plain_from
from ott_extauthz.issuer.sealing import EncryptionKey, Sealer
from ott_extauthz.model.rejection import Rejection

KEY = ECKey.generate_key("P-256")
SEALED = Sealer({"a": EncryptionKey("k", KEY)}).seal("a", "x.y.z")
HEADER = json.loads(decoded(SEALED.split(".")[0]) or b"")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(text=st.text(alphabet="abcAE30._-=é", max_size=80))
def test_any_text_is_passed_on_or_refused(text: str) -> None:
    found = plain_from(text, {"k": KEY}, is_demanded=False)
    assert found == text or isinstance(found, Rejection)


@given(name=st.sampled_from([*HEADER, "zip", "crit", "p2c"]), value=VALUES)
def test_any_value_of_any_member_is_refused_unless_it_is_the_one_that_was_sealed(name: str, value: Any) -> None:
    header = encoded(json.dumps(HEADER | {name: value}, separators=(",", ":")).encode())
    found = plain_from(f"{header}.{SEALED.split('.', 1)[1]}", {"k": KEY}, is_demanded=True)
    assert isinstance(found, Rejection) or HEADER.get(name) == value


@given(name=st.sampled_from([*HEADER["epk"], "d", "k"]), value=VALUES)
def test_any_ephemeral_key_but_the_senders_is_refused(name: str, value: Any) -> None:
    changed = HEADER | {"epk": HEADER["epk"] | {name: value}}
    header = encoded(json.dumps(changed, separators=(",", ":")).encode())
    found = plain_from(f"{header}.{SEALED.split('.', 1)[1]}", {"k": KEY}, is_demanded=True)
    assert isinstance(found, Rejection) or HEADER["epk"].get(name) == value


@given(at=st.integers(0, len(SEALED) - 1), letter=st.sampled_from("AQgwz.9_-"))
def test_any_changed_letter_is_noticed(at: int, letter: str) -> None:
    changed = SEALED[:at] + letter + SEALED[at + 1 :]
    found = plain_from(changed, {"k": KEY}, is_demanded=True)
    assert isinstance(found, Rejection) or changed == SEALED
