"""What is said of a recording that is none?  Never what is in it."""

import json
from typing import Any

import pytest

from ott_extauthz.sections.server import ClientCertificate
from ott_extauthz.wire.recorded import RecordingError, recorded_facts

TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJqdGkiOiJTM0NSRVQifQ.U0lHTkFUVVJF"


@pytest.mark.parametrize(
    ("http", "told"),
    [
        ({"headers": f"Bearer {TOKEN}"}, "attributes.request.http.headers: the value does not fit"),
        ({"headers": {"authorization": f"Bearer {TOKEN}"}, "size": f"Bearer {TOKEN}"}, "http.size: the value"),
        (f"Bearer {TOKEN}", "attributes.request.http"),
        ({f"Bearer {TOKEN}": 1}, "attributes.request.http: the value does not fit"),
        ({"hots": "a"}, "attributes.request.http: no field is named hots"),
    ],
)
def test_a_misplaced_token_is_not_repeated(http: Any, told: str) -> None:
    with pytest.raises(RecordingError) as caught:
        recorded_facts(json.dumps({"attributes": {"request": {"http": http}}}).encode(), ClientCertificate())
    assert told in str(caught.value)
    assert "eyJ" not in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"{", b'{"a":' * 100_000, b"[]", b"\x7fELF"])
def test_what_is_no_recording_is_told_in_one_line(raw: bytes) -> None:
    with pytest.raises(RecordingError) as caught:
        recorded_facts(raw, ClientCertificate())
    assert len(str(caught.value).splitlines()) == 1
