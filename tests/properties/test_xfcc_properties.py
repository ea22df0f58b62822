"""Whatever stands in XFCC: no crash, no forgiven fault, and never a hash that Envoy did not append."""

import json
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ott_extauthz.model.reason import Reason
from ott_extauthz.wire.xfcc import XfccElement, elements_from
from tests.fakes.xfcc import caller_thumbprint

VICTIM = "ab" * 32
REAL = "c1" * 32
GATEWAY_HASH = "0d" * 32
GATEWAY = "spiffe://bank.example/gw"
REAL_TEXT = f'By=spiffe://bank.example/wallet;Hash={REAL};Subject="CN=c";URI=spiffe://bank.example/rgs;DNS=c.example'
GATEWAY_TEXT = f"By=spiffe://bank.example/wallet;Hash={GATEWAY_HASH};URI={GATEWAY}"
REAL_JSON = f'{{"by":["spiffe://bank.example/wallet"],"hash":"{REAL}","uri":["spiffe://bank.example/rgs"]}}'
GATEWAY_JSON = f'{{"hash":"{GATEWAY_HASH}","uri":["{GATEWAY}"]}}'

names = st.text(alphabet="abz019:/.-_*=, ", min_size=1, max_size=12)
rfc2253 = st.lists(st.sampled_from(["CN=c", ",", r"\,", r"\"", r"\;", r"\\", " ", "="])).map("".join)
elements = st.builds(
    XfccElement,
    hash=st.none() | st.binary(min_size=32, max_size=32),
    uris=st.lists(names, max_size=2).map(tuple),
    dns=st.lists(names, max_size=2).map(tuple),
    by=st.lists(names, max_size=2).map(tuple),
    subject=st.none() | rfc2253,
).filter(lambda element: element != XfccElement())
chains = st.lists(elements, min_size=1, max_size=4).map(tuple)


def quoted(value: str) -> str:
    return f'"{value}"' if re.search("[,;= ]", value) or not value else value


def render_text(chain: tuple[XfccElement, ...]) -> str:
    def pairs(element: XfccElement) -> list[str]:
        return [
            *(f"By={quoted(value)}" for value in element.by),
            *([] if element.hash is None else [f"Hash={element.hash.hex()}"]),
            *([] if element.subject is None else [f'Subject="{element.subject}"']),
            *(f"URI={quoted(value)}" for value in element.uris),
            *(f"DNS={quoted(value)}" for value in element.dns),
        ]

    return ",".join(";".join(pairs(element)) for element in chain)


def render_json(chain: tuple[XfccElement, ...]) -> str:
    def members(element: XfccElement) -> dict[str, object]:
        found = {
            "by": element.by,
            "hash": None if element.hash is None else element.hash.hex(),
            "subject": element.subject,
            "uri": element.uris,
            "dns": element.dns,
        }
        return {key: value for key, value in found.items() if value not in (None, ())}

    return json.dumps([members(element) for element in chain])


pieces = st.sampled_from(
    [
        *(
            f"Hash={VICTIM}",
            "Hash=",
            VICTIM,
            "By=",
            "URI=",
            f"URI={GATEWAY}",
            GATEWAY,
            'Subject="',
            "Subject=",
            "DNS=a",
        ),
        *(
            ",",
            ";",
            "=",
            '"',
            "\\",
            '\\"',
            " ",
            '";',
            '",',
            'Cert="',
            "[",
            "]",
            "{",
            "}",
            "{}",
            "[]",
            "null",
            ":",
            "\0",
            "\n",
        ),
        *(
            f'{{"hash":"{VICTIM}"}}',
            f'"hash":"{VICTIM}"',
            '"uri":["',
            '"]',
            '"subject":"',
            "\\u0022",
            f'[{{"hash":"{VICTIM}"}}]',
        ),
        *(
            f'[{{"hash":"{VICTIM}"}}',
            f'{{"hash":"{VICTIM}"}},',
            '{"subject":"',
            f'[{{"uri":["{GATEWAY}"],"hash":"{VICTIM}"}}',
        ),
    ]
)
soups = st.lists(pieces, max_size=8).map("".join) | st.text(max_size=20)


@given(chains)
@settings(max_examples=300)
def test_what_is_written_is_read_back_in_both_forms(chain: tuple[XfccElement, ...]) -> None:
    assert elements_from(render_text(chain)) == chain
    assert elements_from(render_json(chain)) == chain


@given(soups)
@settings(max_examples=500)
def test_no_text_whatever_raises(header: str) -> None:
    elements_from(header)
    for hops in (0, 1, 3):
        caller_thumbprint((header,), trusted_hops=hops, hop_identities=frozenset({GATEWAY}))


def appended(client_sent: str, text: str, as_json: str) -> str:
    """Do what Envoy 1.40 does under APPEND_FORWARD: the form of what is there decides the form of what is added."""
    if not client_sent:
        return text
    if client_sent.startswith("[") and client_sent.endswith("]"):
        return f"{client_sent[:-1]},{as_json}]"
    return f"{client_sent},{text}"


@given(soups)
@example(f'Hash={VICTIM};Subject="x')
@example(f'[{{"hash":"{VICTIM}"}}]')
@example(f'[{{"hash":"{VICTIM}","subject":"]')
@example("[]")
@example('[{"Hash":"AA"')
@settings(max_examples=700)
def test_nothing_a_client_sends_moves_the_hash_that_envoy_appended(client_sent: str) -> None:
    header = appended(client_sent, REAL_TEXT, REAL_JSON)
    found = caller_thumbprint((header,), trusted_hops=0, hop_identities=frozenset())
    assert found in (bytes.fromhex(REAL), Reason.CERTIFICATE_HEADER_MALFORMED)


@given(soups)
@example(f'Hash={VICTIM};Subject="x')
@example(f"Hash={VICTIM},Hash={VICTIM};URI={GATEWAY}")
@settings(max_examples=700)
def test_nothing_a_client_sends_through_the_gateway_moves_it_either(client_sent: str) -> None:
    header = appended(appended(client_sent, REAL_TEXT, REAL_JSON), GATEWAY_TEXT, GATEWAY_JSON)
    found = caller_thumbprint((header,), trusted_hops=1, hop_identities=frozenset({GATEWAY}))
    assert found in (bytes.fromhex(REAL), Reason.CERTIFICATE_HEADER_MALFORMED)


@given(soups)
@settings(max_examples=700)
def test_a_caller_who_goes_around_the_gateway_is_never_believed(client_sent: str) -> None:
    header = appended(client_sent, REAL_TEXT, REAL_JSON)
    found = caller_thumbprint((header,), trusted_hops=1, hop_identities=frozenset({GATEWAY}))
    assert found in (Reason.CERTIFICATE_HOP_UNTRUSTED, Reason.CERTIFICATE_HEADER_MALFORMED)


# --- the TEXT grammar stated apart: a machine that looks at one character at a time -----------------------------------

KEYS = {"By", "Hash", "Cert", "Chain", "Subject", "URI", "DNS", "Issuer"}
REPEATABLE = {"By", "URI", "DNS"}


def split_outside_quotes(text: str, separator: str) -> list[str] | None:
    """Split at separators outside quotes; None where a quote is left open."""
    parts, is_quoted, skips = [""], False, False
    for character in text:
        if skips:
            skips = False
        elif is_quoted and character == "\\":
            skips = True
        elif character == '"':
            is_quoted = not is_quoted
        elif character == separator and not is_quoted:
            parts.append("")
            continue
        parts[-1] += character
    return None if is_quoted or skips else parts


def is_value(key: str, value: str) -> bool:
    if key == "Hash":
        return re.fullmatch('[0-9a-fA-F]{64}|"[0-9a-fA-F]{64}"', value) is not None
    if value.startswith('"'):
        inner = value[1:-1].replace("\\\\", "").replace('\\"', "") if len(value) > 1 and value.endswith('"') else '"'
        return not set(inner.replace("\\;", "")) & set('";') and ("\\" not in value or key in ("Subject", "Issuer"))
    return not set(value) & set('"\\ ')


def satisfies_the_grammar(header: str) -> bool:
    if not header or not all(" " <= character <= "~" for character in header):
        return False
    for element in split_outside_quotes(header, ",") or [""]:
        pairs = [pair.partition("=") for pair in split_outside_quotes(element, ";") or [""]]
        keys = [key for key, _, _ in pairs]
        if not all(equals and key in KEYS and is_value(key, value) for key, equals, value in pairs):
            return False
        if any(keys.count(key) > 1 for key in keys if key not in REPEATABLE):
            return False
    return True


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A good TEXT header with up to three characters replaced, put in or left out."""
    text = render_text(draw(chains))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(["", *',;="\\ a0H\0\n'])) + text[at + draw(st.integers(0, 1)) :]
    return text


@given(damaged() | soups.filter(lambda text: not text.startswith("[")))
@settings(max_examples=700)
def test_what_is_accepted_is_exactly_what_the_grammar_stated_apart_accepts(header: str) -> None:
    assert (elements_from(header) is not None) == satisfies_the_grammar(header)


@given(damaged())
@settings(max_examples=500)
def test_a_damaged_header_yields_no_hash_that_does_not_stand_in_it_word_for_word(header: str) -> None:
    found = elements_from(header) or ()
    written = [bytes.fromhex(text) for text in re.findall('(?:^|[,;])Hash="?([0-9a-fA-F]{64})"?(?=[,;]|$)', header)]
    assert all(element.hash in written for element in found if element.hash is not None)
    assert len(written) >= sum(element.hash is not None for element in found)
