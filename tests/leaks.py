"""Is a part of a secret in what was written?  Every stretch of it is looked for: cutting it up hides nothing."""

from collections.abc import Iterable

LONGEST = 12
"""So many characters of a secret in a row are too many."""


def leaked(secrets: Iterable[str], written: str) -> set[str]:
    """Return the stretches of secrets that stand in a text."""
    stretches = {
        secret[start : start + LONGEST] for secret in secrets for start in range(max(1, len(secret) - LONGEST + 1))
    }
    return stretches.intersection(written[start : start + LONGEST] for start in range(len(written) - LONGEST + 1))


def variants(secret: str) -> dict[str, bytes]:
    """A secret, and what clients make of it by mistake or on purpose."""
    raw = secret.encode()
    return {
        "whole": raw,
        "cut": raw[: len(raw) * 2 // 3],
        "tail": raw[len(raw) // 3 :],
        "split": raw[:20] + b"\r\nx-injected: " + raw[20:],
        "long": raw * (9000 // len(raw)),
        "binary": b"\x00\xff" + raw + b"\xc3\x28",
        "twice": raw + b", " + raw,
        "quoted": b'"' + raw + b'"',
        "dotted": raw + b".",
    }
