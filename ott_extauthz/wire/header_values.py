"""How does text become a header value that cannot split a response or pass for another?"""

import re
from typing import Final

_UNSAFE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
_NOT_PLAIN: Final = re.compile(r"[^\x21-\x24\x26-\x7e]")


def identity_value(text: str) -> str:
    r"""Return a claim as an identity header: visible ASCII as it is, everything else percent-encoded as UTF-8.

    Injective, so that two subjects never look alike upstream: dropping what does not fit would turn ``ad\u200bmin``
    into ``admin``.  The percent sign and the space are encoded too.
    """
    if not _NOT_PLAIN.search(text):
        return text
    return _NOT_PLAIN.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8")), text)


def stripped_value(text: str) -> str:
    """Return text without what no header value may hold; the last guard for every header we emit.

    Without ``validate_mutations`` (Istio and Envoy Gateway do not set it) Envoy writes CR and LF to the wire.
    """
    return _UNSAFE.sub("", text)
