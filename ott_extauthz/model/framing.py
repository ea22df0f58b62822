"""How are texts joined so that no two lists of them look alike?"""


def framed(*parts: str) -> bytes:
    """Return the parts, each behind its length: ("ab", "c") and ("a", "bc") never share bytes."""
    return b"".join(
        len(raw).to_bytes(4, "big") + raw for raw in (part.encode("utf-8", "surrogatepass") for part in parts)
    )
