"""RFC 8705, Appendix A: the certificate of Figure 6 has the thumbprint of Figure 5."""

from urllib.parse import quote

from ott_extauthz.authn.base64url import encoded
from ott_extauthz.sections.server import ClientCertificate
from ott_extauthz.wire.peer import PeerCertificates

FIGURE_6 = """-----BEGIN CERTIFICATE-----
MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAx
ODEyMzcwOVoXDTIyMDUwMjEyMzcwOVowDzENMAsGA1UEAwwEbXRsczBZMBMGByqG
SM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ
/Au08/coZwxS7LfA4vOLS9WuneIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwID
SQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOV
bUlJSGQgjwD5vaUaKlLR50Q2DmFfQj1L+SY=
-----END CERTIFICATE-----
"""
FIGURE_5 = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"


def test_the_thumbprint_of_appendix_a() -> None:
    thumbprint = PeerCertificates(ClientCertificate()).of(quote(FIGURE_6, safe=""), {}).thumbprint
    assert isinstance(thumbprint, bytes)
    assert encoded(thumbprint) == FIGURE_5
