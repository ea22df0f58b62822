"""X-Forwarded-Client-Cert: what Envoy 1.40 writes is read, whatever else is refused whole."""

from dataclasses import replace
from urllib.parse import unquote

import pytest

from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.wire.xfcc import MAX_ELEMENTS, MAX_HEADER_CHARACTERS, XfccElement, elements_from
from tests.fakes.xfcc import caller_thumbprint

HASH = "c1ff7f5acff496d3c5e01f1c19de3e0a5071f3426c6c277ae2cf96926ba73db6"
OTHER = "ab" * 32
GATEWAY = "spiffe://bank.example/gw"
HOPS = frozenset({GATEWAY})

# Written by Envoy 1.40.0 with every detail switched on (certificates shortened): a subject with comma, quotes,
# semicolon and equals sign; two URIs; two names.
FROM_ENVOY_TEXT = (
    f"By={GATEWAY};Hash={HASH};"
    'Cert="-----BEGIN%20CERTIFICATE-----%0AMIIB%2B%3D%3D%0A-----END%20CERTIFICATE-----%0A";'
    'Chain="-----BEGIN%20CERTIFICATE-----%0AMIIB%2B%3D%3D%0A-----END%20CERTIFICATE-----%0A";'
    r'Subject="O=Acme\, \"Inc\"\; X=Y,CN=client";'
    "URI=spiffe://bank.example/rgs;URI=spiffe://bank.example/two;DNS=a.example;DNS=b.example;"
    'Issuer="CN=ca"'
)
FROM_ENVOY_JSON = (
    '[{"by":["spiffe://bank.example/gw"],"hash":"' + HASH + '",'
    r'"cert":"-----BEGIN CERTIFICATE-----\nMIIB+==\n-----END CERTIFICATE-----\n",'
    r'"chain":["-----BEGIN CERTIFICATE-----\nMIIB+==\n-----END CERTIFICATE-----\n"],'
    r'"subject":"O=Acme\\, \\\"Inc\\\"\\; X=Y,CN=client",'
    '"uri":["spiffe://bank.example/rgs","spiffe://bank.example/two"],"dns":["a.example","b.example"],"issuer":"CN=ca"}]'
)
CLIENT = XfccElement(
    hash=bytes.fromhex(HASH),
    uris=("spiffe://bank.example/rgs", "spiffe://bank.example/two"),
    dns=("a.example", "b.example"),
    by=(GATEWAY,),
    subject=r"O=Acme\, \"Inc\"\; X=Y,CN=client",
)


@pytest.mark.parametrize("header", [FROM_ENVOY_TEXT, FROM_ENVOY_JSON])
def test_both_forms_of_envoy_say_the_same(header: str) -> None:
    (element,) = elements_from(header) or ()
    assert replace(element, cert=None) == CLIENT
    assert unquote(element.cert or "").split() == [
        "-----BEGIN",
        "CERTIFICATE-----",
        "MIIB+==",
        "-----END",
        "CERTIFICATE-----",
    ]


def test_a_certificate_with_nothing_but_a_key_is_read_in_both_forms() -> None:
    bare = XfccElement(hash=bytes.fromhex(HASH), by=(GATEWAY,))
    assert elements_from(f'By={GATEWAY};Hash={HASH};Subject="";URI=;Issuer="CN=ca"') == (
        XfccElement(hash=bare.hash, by=bare.by, subject=""),
    )
    assert elements_from(f'[{{"by":["{GATEWAY}"],"hash":"{HASH}","issuer":"CN=ca"}}]') == (bare,)


@pytest.mark.parametrize(
    ("header", "element"),
    [
        (f"Hash={HASH}", XfccElement(hash=bytes.fromhex(HASH))),
        (f"Hash={HASH.upper()}", XfccElement(hash=bytes.fromhex(HASH))),
        (f'Hash="{HASH}"', XfccElement(hash=bytes.fromhex(HASH))),
        ("URI=spiffe://x/a=b", XfccElement(uris=("spiffe://x/a=b",))),
        ('URI="spiffe://x/a,b"', XfccElement(uris=("spiffe://x/a,b",))),
        ("By=", XfccElement()),
        ("DNS=*.example", XfccElement(dns=("*.example",))),
        (r'Subject="CN=caf\C3\A9 \\back"', XfccElement(subject=r"CN=caf\C3\A9 \\back")),
    ],
)
def test_one_element_is_read_as_it_is_written(header: str, element: XfccElement) -> None:
    assert elements_from(header) == (element,)


def test_elements_keep_their_order() -> None:
    header = f"Hash={OTHER};URI=spiffe://a,Hash={HASH}"
    assert elements_from(header) == (
        XfccElement(hash=bytes.fromhex(OTHER), uris=("spiffe://a",)),
        XfccElement(hash=bytes.fromhex(HASH)),
    )


@pytest.mark.parametrize(
    "header",
    [
        *("", " ", ",", ";", "=", "x", "Hash", "Hash=", f"Hash={HASH},", f",Hash={HASH}", f"Hash={HASH},,Hash={HASH}"),
        *(f"Hash={HASH};", f";Hash={HASH}", f"Hash={HASH};;URI=a", f"Hash={HASH} ", f" Hash={HASH}", f"Hash ={HASH}"),
        *(f"Hash={HASH}, Hash={HASH}", f"Hash={HASH}; URI=a", f"Hash={HASH}\t", f"Hash={HASH}\r\n", f"Hash={HASH}\0"),
        *(
            f"hash={HASH}",
            f"HASH={HASH}",
            f"Hash={HASH};Colour=red",
            f"Hash={HASH};=x",
            f"{HASH}",
            f"SAN=a;Hash={HASH}",
        ),
        *(f"Hash={HASH};Hash={HASH}", f"Hash={HASH};Hash={OTHER}", 'Subject="";Subject=""', "Cert=a;Cert=a"),
        *("Chain=a;Chain=b", "Issuer=a;Issuer=b", f"Hash={HASH};URI=a;Hash={HASH}"),
        *(
            "Hash=AA",
            f"Hash={HASH}0",
            f"Hash={HASH[:-1]}",
            f"Hash={HASH[:-1]}g",
            f"Hash=0x{HASH[2:]}",
            f"Hash={HASH[:-1]} ",
        ),
        *(f"Hash={':'.join([HASH[:32], HASH[32:]])}", f"Hash={HASH}=", f"Hash={HASH[:-1]}\u0661"),
        *(
            f'Hash={HASH};Subject="x',
            f'Hash={HASH};Subject=x"',
            f'Hash={HASH};Subject="x"y',
            f'Hash={HASH};Subject="x;y"',
            'Subject="x";"',
            'Subject="',
        ),
        *('Subject="x\\"', 'Subject="x" ;Hash=a', 'Subject=""x""', f'DNS=q"uote;Hash={HASH}', f"URI=a\\,b;Hash={HASH}"),
        *(f'Hash={HASH};URI="a\\"b"', f'Hash={HASH};DNS="a\\\\b"', f"URI=sp ace;Hash={HASH}"),
        *(f"Hash={HASH};URI=caf\xe9", f"Hash={HASH};URI=\u2215", f"Hash={HASH};URI=\x7f", f"Hash={HASH};URI=\ud800"),
    ],
)
def test_any_fault_refuses_the_whole_text_header(header: str) -> None:
    assert elements_from(header) is None


@pytest.mark.parametrize(
    "header",
    [
        *("[]", "[", "]", "[[]]", "[{}]", "[1]", "[null]", '["Hash"]', "{}", f'{{"hash":"{HASH}"}}'),
        *(f'[{{"hash":"{HASH}"}}', f'[,{{"hash":"{HASH}"}}]', f'[{{"hash":"{HASH}"}},]', f'[{{"hash":"{HASH}",}}]'),
        *(
            f'[{{"hash":"{HASH}"}}]x',
            f'[{{"hash":"{HASH}"}}],Hash={HASH}',
            f'[{{"hash":"{HASH}"}}][]',
            f'[{{"hash":"{HASH}"}}]\n',
        ),
        *(f'[{{"Hash":"{HASH}"}}]', f'[{{"hash":"{HASH}","x":1}}]', f'[{{"hash":"{HASH}","":""}}]'),
        *(f'[{{"hash":"{HASH}","hash":"{HASH}"}}]', f'[{{"hash":"{OTHER}","has\\u0068":"{HASH}"}}]'),
        *(
            '[{"hash":"AA"}]',
            '[{"hash":""}]',
            '[{"hash":null}]',
            '[{"hash":1}]',
            f'[{{"hash":["{HASH}"]}}]',
            '[{"hash":{}}]',
        ),
        *(
            '[{"uri":"a"}]',
            '[{"uri":[1]}]',
            '[{"uri":[["a"]]}]',
            '[{"uri":null}]',
            '[{"uri":{"a":"b"}}]',
            '[{"chain":"x"}]',
        ),
        *('[{"subject":["a"]}]', '[{"subject":NaN}]', "[NaN]", "[Infinity]", '[{"dns":[-Infinity]}]', "[1e999]"),
        *(
            '[{"uri":["caf\\u00e9"]}]',
            '[{"uri":["\\ud800"]}]',
            "[{'uri':['a']}]",
            '[{"uri":["\t"]}]',
            '[{"uri":["\\x41"]}]',
        ),
        *("[" * 9000, "[" + "1" * 9000 + "]", '[{"a":' * 2000),
    ],
)
def test_any_fault_refuses_the_whole_json_header(header: str) -> None:
    assert elements_from(header) is None


def test_more_elements_or_characters_than_any_chain_of_proxies_needs_are_refused() -> None:
    element = f"Hash={HASH}"
    assert len(elements_from(",".join([element] * MAX_ELEMENTS)) or ()) == MAX_ELEMENTS
    assert elements_from(",".join([element] * (MAX_ELEMENTS + 1))) is None
    assert elements_from("[" + ",".join([f'{{"hash":"{HASH}"}}'] * (MAX_ELEMENTS + 1)) + "]") is None
    filled = f"{element};URI="
    assert elements_from(filled.ljust(MAX_HEADER_CHARACTERS, "a")) is not None
    assert elements_from(filled.ljust(MAX_HEADER_CHARACTERS + 1, "a")) is None


def thumbprint(*values: str, hops: int = 0) -> Thumbprint | Reason:
    return caller_thumbprint(values, trusted_hops=hops, hop_identities=HOPS)


GATEWAY_ELEMENT = f"By=spiffe://bank.example/wallet;Hash={OTHER};URI={GATEWAY}"


def test_without_hops_the_last_element_is_the_callers() -> None:
    assert thumbprint(FROM_ENVOY_TEXT) == bytes.fromhex(HASH)
    assert thumbprint(f"{GATEWAY_ELEMENT},{FROM_ENVOY_TEXT}") == bytes.fromhex(HASH)


def test_behind_a_gateway_the_element_before_the_gateways_is_the_callers() -> None:
    assert thumbprint(f"{FROM_ENVOY_TEXT},{GATEWAY_ELEMENT}", hops=1) == bytes.fromhex(HASH)
    assert thumbprint(f"{FROM_ENVOY_TEXT},{GATEWAY_ELEMENT},{GATEWAY_ELEMENT}", hops=2) == bytes.fromhex(HASH)


def test_no_header_is_no_certificate() -> None:
    assert thumbprint() is Reason.CERTIFICATE_MISSING


def test_two_headers_are_a_fault_even_where_they_agree() -> None:
    assert thumbprint(FROM_ENVOY_TEXT, FROM_ENVOY_TEXT) is Reason.CERTIFICATE_HEADER_MALFORMED


@pytest.mark.parametrize("header", ["", "x", "[]", f"Hash={HASH},"])
def test_a_header_that_cannot_be_read_strictly_is_told_from_a_missing_one(header: str) -> None:
    assert thumbprint(header) is Reason.CERTIFICATE_HEADER_MALFORMED


def test_too_few_elements_mean_that_the_caller_went_around_the_gateway() -> None:
    assert thumbprint(FROM_ENVOY_TEXT, hops=1) is Reason.CERTIFICATE_HOP_UNTRUSTED
    assert thumbprint(GATEWAY_ELEMENT, hops=1) is Reason.CERTIFICATE_HOP_UNTRUSTED
    assert thumbprint(f"{FROM_ENVOY_TEXT},{GATEWAY_ELEMENT}", hops=2) is Reason.CERTIFICATE_HOP_UNTRUSTED


@pytest.mark.parametrize(
    "uri",
    ["URI=", "URI=spiffe://bank.example/gw2", "URI=SPIFFE://bank.example/gw", f"DNS={GATEWAY}", f'Subject="{GATEWAY}"'],
)
def test_an_element_of_an_unknown_proxy_is_not_counted_over(uri: str) -> None:
    assert thumbprint(f"{FROM_ENVOY_TEXT},Hash={OTHER};{uri}", hops=1) is Reason.CERTIFICATE_HOP_UNTRUSTED


def test_every_hop_must_be_a_known_proxy_and_not_just_one() -> None:
    unknown = f"Hash={OTHER};URI=spiffe://bank.example/other"
    for right in (f"{unknown},{GATEWAY_ELEMENT}", f"{GATEWAY_ELEMENT},{unknown}"):
        assert thumbprint(f"{FROM_ENVOY_TEXT},{right}", hops=2) is Reason.CERTIFICATE_HOP_UNTRUSTED


def test_one_of_several_uris_may_name_the_proxy() -> None:
    assert thumbprint(f"{FROM_ENVOY_TEXT},URI=spiffe://a;URI={GATEWAY}", hops=1) == bytes.fromhex(HASH)


def test_a_callers_element_without_a_hash_is_no_certificate() -> None:
    assert thumbprint("URI=spiffe://bank.example/rgs") is Reason.CERTIFICATE_MISSING
    assert thumbprint(f"URI=spiffe://bank.example/rgs,{GATEWAY_ELEMENT}", hops=1) is Reason.CERTIFICATE_MISSING


def test_a_uri_with_nul_names_nobody_even_if_it_were_configured() -> None:
    """CVE-2025-66220, CVE-2026-47778: what C reads up to the NUL is not what the CA signed."""
    header = f'[{{"hash":"{HASH}"}},{{"hash":"{OTHER}","uri":["{GATEWAY}\\u0000.evil"]}}]'
    for identities in (HOPS, frozenset({f"{GATEWAY}\0.evil"})):
        found = caller_thumbprint((header,), trusted_hops=1, hop_identities=identities)
        assert found is Reason.CERTIFICATE_HOP_UNTRUSTED
