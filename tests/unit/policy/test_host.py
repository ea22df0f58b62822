import pytest

from ott_extauthz.policy.host import MAX_HOST_CHARACTERS, canonical_host


@pytest.mark.parametrize(
    ("spelling", "scheme", "canonical"),
    [
        ("api.example.com", "https", "api.example.com"),
        ("API.Example.COM", "https", "api.example.com"),
        ("api.example.com.", "https", "api.example.com"),
        ("api.example.com:443", "https", "api.example.com"),
        ("api.example.com.:443", "https", "api.example.com"),
        ("api.example.com:80", "http", "api.example.com"),
        ("api.example.com:80", "https", "api.example.com:80"),
        ("api.example.com:443", "http", "api.example.com:443"),
        ("api.example.com:8443", "https", "api.example.com:8443"),
        ("api:80", "", "api:80"),
        ("api:65535", "", "api:65535"),
        ("wallet_api", "http", "wallet_api"),
        ("_dmarc.example", "http", "_dmarc.example"),
        ("xn--bcher-kva.example", "http", "xn--bcher-kva.example"),
        ("10.0.0.1", "http", "10.0.0.1"),
        ("10.0.0.1:9000", "http", "10.0.0.1:9000"),
        ("[2001:DB8:0:0::1]", "http", "[2001:db8::1]"),
        ("[::1]:443", "https", "[::1]"),
        ("[::1]:8443", "https", "[::1]:8443"),
        ("1and1.example", "http", "1and1.example"),
        ("0x7f.example", "http", "0x7f.example"),
    ],
)
def test_a_host_has_one_spelling(spelling: str, scheme: str, canonical: str) -> None:
    assert canonical_host(spelling, scheme) == canonical


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "..",
        "api..example",
        "api.example..",
        ".api.example",
        "-api.example",
        "api-.example",
        "a" * 64 + ".example",
        ("a" * 63 + ".") * 4,
        "a,b",
        "a, b",
        "user@api",
        "user:pass@api",
        "a%2eb",
        "a b",
        " api",
        "api ",
        "api\t",
        "api\n",
        "api\0",
        "api/",
        "api\\evil",
        "api?x",
        "api#x",
        "*.example",
        "apí.example",
        "\u212aelvin",
        "api:",
        "api:0",
        "api:080",
        "api:65536",
        "api:99999999",
        "api:http",
        "api:80:80",
        "api:+80",
        "api:\u0668",
        ":80",
    ],
)
def test_what_is_outside_the_host_grammar_is_no_host(host: str) -> None:
    assert canonical_host(host, "http") is None


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.01",
        "256.0.0.1",
        "1.2.3.4.5",
        "api.1",
        "0x",
    ],
)
def test_an_ipv4_address_has_no_second_spelling(host: str) -> None:
    assert canonical_host(host, "http") is None


@pytest.mark.parametrize(
    "host",
    [
        "[]",
        "[::1",
        "::1",
        "[::1]x",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[1::2::3]",
    ],
)
def test_an_ipv6_address_has_no_second_spelling(host: str) -> None:
    assert canonical_host(host, "http") is None


def test_an_oversized_host_is_refused_before_it_is_remembered() -> None:
    longest = ("a" * 63 + ".") * 3 + "a" * 63
    assert len(longest) == MAX_HOST_CHARACTERS
    assert canonical_host(longest, "http") == longest
    assert canonical_host(longest + ".", "http") is None
