"""Forged X-Forwarded-Client-Cert: what a client can make of it in each of Envoy's modes, and what we believe."""

import pytest

from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.reason import Reason
from tests.fakes.xfcc import caller_thumbprint

VICTIM = "ab" * 32
ATTACKER = "c1" * 32
GATEWAY = "spiffe://bank.example/gw"
GATEWAY_ELEMENT = f'By=spiffe://bank.example/wallet;Hash={"0d" * 32};Subject="CN=gw";URI={GATEWAY}'
FORGED = f"By=spiffe://bank.example/wallet;Hash={VICTIM};URI=spiffe://bank.example/rgs"
REAL = f'By=spiffe://bank.example/wallet;Hash={ATTACKER};Subject="CN=attacker";URI=spiffe://bank.example/attacker'
REAL_JSON = f'{{"by":["spiffe://bank.example/wallet"],"hash":"{ATTACKER}","uri":["spiffe://bank.example/attacker"]}}'


MALFORMED = Reason.CERTIFICATE_HEADER_MALFORMED


def believed(*values: str, hops: int = 0) -> Thumbprint | Reason:
    return caller_thumbprint(values, trusted_hops=hops, hop_identities=frozenset({GATEWAY}))


def test_sanitize_leaves_no_header_and_so_no_certificate() -> None:
    assert believed() is Reason.CERTIFICATE_MISSING


def test_sanitize_set_leaves_the_real_element_alone() -> None:
    assert believed(REAL) == bytes.fromhex(ATTACKER)


def test_append_forward_puts_the_forged_element_first_and_the_last_is_believed() -> None:
    """Authorino takes the first."""
    assert believed(f"{FORGED},{REAL}") == bytes.fromhex(ATTACKER)
    assert believed(f"{FORGED},{FORGED},{REAL}") == bytes.fromhex(ATTACKER)


def test_forward_only_shows_the_forged_element_alone_and_counting_hops_refuses_it() -> None:
    assert believed(FORGED, hops=1) is Reason.CERTIFICATE_HOP_UNTRUSTED
    assert believed(f"{FORGED},{REAL}", hops=1) is Reason.CERTIFICATE_HOP_UNTRUSTED


def test_around_the_gateway_a_client_cannot_count_itself_in() -> None:
    """A client that reaches the sidecar itself writes the gateway's element too; the sidecar appends the real one."""
    assert believed(f"{FORGED},{GATEWAY_ELEMENT},{REAL}", hops=1) is Reason.CERTIFICATE_HOP_UNTRUSTED
    assert believed(f"{FORGED},{GATEWAY_ELEMENT},{REAL}", hops=2) is Reason.CERTIFICATE_HOP_UNTRUSTED


def test_through_the_gateway_the_forged_element_is_left_of_what_counts() -> None:
    assert believed(f"{FORGED},{REAL},{GATEWAY_ELEMENT}", hops=1) == bytes.fromhex(ATTACKER)


def test_client_picks_json_and_envoy_appends_to_its_array() -> None:
    assert believed(f'[{{"Hash":"AA"}},{REAL_JSON}]') is MALFORMED
    assert believed(f'[{{"hash":"{VICTIM}"}},{REAL_JSON}]') == bytes.fromhex(ATTACKER)


def test_client_sends_an_empty_array_and_envoy_writes_invalid_json() -> None:
    assert believed(f"[,{REAL_JSON}]") is MALFORMED


@pytest.mark.parametrize(
    "garbage", ['{"Hash":"AA"}', '[{"Hash":"AA"', f'[{{"hash":"{VICTIM}"', "x", '"', "\\", f"Hash={VICTIM};", "[", "{}"]
)
def test_client_sends_garbage_and_envoy_appends_text(garbage: str) -> None:
    assert believed(f"{garbage},{REAL}") is MALFORMED


@pytest.mark.parametrize(
    "opened",
    [
        f'Hash={VICTIM};Subject="x',
        f'Hash={VICTIM};Subject="',
        f'Hash={VICTIM};Subject="x\\',
        f'Hash={VICTIM};URI="',
        f'Hash={VICTIM};Cert="',
    ],
)
def test_an_unbalanced_quote_swallows_the_real_element(opened: str) -> None:
    """To a forgiving splitter the header has one element then, and its Hash is the victim's."""
    for header in (
        f"{opened},{REAL}",
        f'{opened},By=x;Hash={ATTACKER};Subject="CN=a"',
        f'{opened},Hash={ATTACKER};Subject="',
    ):
        assert believed(header) is MALFORMED


def test_a_json_string_left_open_swallows_the_real_element() -> None:
    assert believed(f'[{{"hash":"{VICTIM}","subject":",{REAL_JSON}]') is MALFORMED
    assert believed(f'[{{"hash":"{VICTIM}","subject":"],{REAL}') is MALFORMED


@pytest.mark.parametrize(
    "header",
    [
        f"Hash={VICTIM};Hash={ATTACKER}",
        f"Hash={ATTACKER};URI=a;Hash={VICTIM}",
        f"Hash={ATTACKER};hash={VICTIM}",
        f'[{{"hash":"{ATTACKER}","hash":"{VICTIM}"}}]',
        f'[{{"hash":"{ATTACKER}","Hash":"{VICTIM}"}}]',
    ],
)
def test_two_hashes_in_one_element(header: str) -> None:
    assert believed(header) is MALFORMED


def test_two_header_lines_are_a_fault_in_raw_mode_and_two_elements_in_merged_mode() -> None:
    assert believed(REAL, FORGED) is MALFORMED
    assert believed(FORGED, REAL) is MALFORMED
    assert believed(f"{FORGED},{REAL}") == bytes.fromhex(ATTACKER)


def test_padding_with_elements_does_not_push_the_real_one_out_of_sight() -> None:
    for count in (15, 16, 200, 5000):
        found = believed(",".join([FORGED] * count + [REAL]))
        assert found in (bytes.fromhex(ATTACKER), MALFORMED)


def test_embedded_nul_in_a_san_is_nobody_cve_2025_66220_cve_2026_47778() -> None:
    hop = f'{{"hash":"{"0d" * 32}","uri":["{GATEWAY}\\u0000.evil.example"]}}'
    assert believed(f'[{{"hash":"{VICTIM}"}},{hop}]', hops=1) is Reason.CERTIFICATE_HOP_UNTRUSTED
    assert believed(f"{FORGED},Hash={ATTACKER};URI={GATEWAY}\0.evil", hops=1) is MALFORMED


def test_a_gateways_name_in_dns_subject_or_by_is_no_gateway() -> None:
    for claim in (f"DNS={GATEWAY}", f'Subject="URI={GATEWAY}"', f"By={GATEWAY}", f'Issuer="{GATEWAY}"'):
        assert believed(f"{FORGED},Hash={ATTACKER};{claim}", hops=1) is Reason.CERTIFICATE_HOP_UNTRUSTED


# Written by Envoy 1.40.0 for a certificate with the URI `spiffe://x/a,Hash=abab…`, the names `d;Hash=00` and `q"uote`.
SAN_TEXT = f'By={GATEWAY};Hash={ATTACKER};Subject="CN=evil";URI=spiffe://x/a,Hash={VICTIM};DNS=d;Hash=00;DNS=q"uote'
SAN_JSON = (
    f'[{{"by":["{GATEWAY}"],"hash":"{ATTACKER}","subject":"CN=evil","uri":["spiffe://x/a,Hash={VICTIM}"],'
    '"dns":["d;Hash=00","q\\"uote"]}]'
)


def test_separators_in_a_san_stay_in_the_san_in_json() -> None:
    assert believed(SAN_JSON) == bytes.fromhex(ATTACKER)


def test_a_semicolon_or_quote_in_a_san_refuses_the_text_header() -> None:
    assert believed(SAN_TEXT) is MALFORMED
    assert believed(f"Hash={ATTACKER};DNS=d;Hash={VICTIM}") is MALFORMED
    assert believed(f'Hash={ATTACKER};DNS=q"uote') is MALFORMED


def test_a_quote_in_a_san_does_not_close_what_the_client_opened() -> None:
    """The certificate of the attacker ends a quote that his header began; the victim's hash would stand alone."""
    assert believed(f'Hash={VICTIM};Subject="x,By={GATEWAY};Hash={ATTACKER};URI=spiffe://x/a"') is MALFORMED
    assert believed(f'Hash={VICTIM};Subject="x,Hash={ATTACKER};URI=spiffe://x/a"') is MALFORMED


def test_known_limit_a_comma_in_a_san_cannot_be_told_from_a_second_element_in_text() -> None:
    """Envoy quotes no SAN in TEXT.  Where a CA signs such names: `source: peer`, or JSON with SANITIZE_SET."""
    assert believed(f"Hash={ATTACKER};URI=spiffe://x/a,Hash={VICTIM}") == bytes.fromhex(VICTIM)
