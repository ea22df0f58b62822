"""Content-Digest proves the content by SHA-256 or SHA-512, and whichever is there must be right (RFC 9530)."""

import base64
import hashlib

import pytest

from ott_extauthz.authn.http_signatures.content_digest import content_digest, is_digest_of

CONTENT = b'{"hello": "world"}'


def digest(name: str, content: bytes = CONTENT, algorithm: str | None = None) -> str:
    made = hashlib.new(algorithm or name.replace("-", ""), content).digest()
    return f"{name}=:{base64.b64encode(made).decode()}:"


SHA256, SHA512 = digest("sha-256"), digest("sha-512")
SHA1, MD5 = digest("sha", algorithm="sha1"), digest("md5")


def test_the_published_values() -> None:
    """RFC 9530, Appendix B: the content of its examples, and RFC 9421, Appendix B.2."""
    assert content_digest(b'{"hello": "world"}\n') == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    assert is_digest_of(
        "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:", CONTENT
    )


@pytest.mark.parametrize(
    "value",
    [
        SHA256,
        SHA512,
        f"{SHA256}, {SHA512}",
        f"{SHA1}, {SHA256}",
        f"{SHA512},{MD5}",
        "crc=1, " + SHA256,
        f"{SHA256};q=1",
    ],
)
def test_one_that_we_know_is_enough(value: str) -> None:
    assert is_digest_of(value, CONTENT)
    assert not is_digest_of(value, CONTENT + b" ")
    assert not is_digest_of(value, b"")


@pytest.mark.parametrize(
    "value",
    [
        "",
        SHA1,
        MD5,
        f"{SHA1}, {MD5}",
        digest("sha-256", b"other"),
        f"{SHA512}, {digest('sha-256', b'other')}",
        f"{SHA256}, {digest('sha-512', b'other')}",
        f"{digest('sha-256', b'other')}, {SHA256}",
        f"{SHA256}, {SHA256}",
        SHA256.upper(),
        SHA256.replace(":", ""),
        SHA256.replace("=:", '=":').replace("=:", '="'),
        f"sha-256={hashlib.sha256(CONTENT).hexdigest()}",
        f"sha-256=({SHA256.partition('=')[2]})",
        "sha-256",
        "sha-256=::",
        "sha-256=:" + base64.b64encode(hashlib.sha256(CONTENT).digest()[:16]).decode() + ":",
        SHA256 + ",",
        SHA256 + "\n",
        SHA256 + "\xff",
        SHA256 + " " * 5000,
    ],
)
def test_a_broken_unknown_wrong_or_doubled_digest_is_none(value: str) -> None:
    assert not is_digest_of(value, CONTENT)
