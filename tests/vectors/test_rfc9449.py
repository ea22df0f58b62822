"""RFC 9449: the proofs of Figures 2, 7 and 12 hold at their time, with the thumbprint and the token hash it prints.

The last one as a whole: the request of Figure 12, at the step of the Check that asks for possession.
"""

import pytest

from ott_extauthz.authn.base64url import decoded, encoded
from ott_extauthz.authn.dpop import DpopProof, DpopVerifier, ProofFault
from ott_extauthz.check.credentials.possession import Possession, Shown
from ott_extauthz.model.facts import Facts, Peer, Thumbprint
from ott_extauthz.model.reason import Reason
from ott_extauthz.model.rejection import Rejection
from ott_extauthz.model.token import Confirmation
from ott_extauthz.policy.routes import Asks, BoundTo, CredentialKind
from tests.unit.authn.test_binding import token as token_of

KEY = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
)
TOKEN_REQUEST = (
    f"{KEY}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwi"
    "aWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
LATER_TOKEN_REQUEST = (
    f"{KEY}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwi"
    "aWF0IjoxNTYyMjY1Mjk2fQ.pAqut2IRDm_De6PR93SYmGBPXpwrAk90e8cP2hjiaG5QsGSuKDYW7_X620BxqhvYC8ynrrvZLTk41mSRroapUA"
)
RESOURCE_REQUEST = (
    f"{KEY}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0"
    "ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9"
    ".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)
ACCESS_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
TOKEN_ENDPOINT = "https://server.example.com/token"
RESOURCE = "https://resource.example.org/protectedresource"


@pytest.mark.parametrize(
    ("proof", "method", "target", "iat", "token"),
    [
        (TOKEN_REQUEST, "POST", TOKEN_ENDPOINT, 1562262616, None),
        (LATER_TOKEN_REQUEST, "POST", TOKEN_ENDPOINT, 1562265296, None),
        (RESOURCE_REQUEST, "GET", RESOURCE, 1562262618, ACCESS_TOKEN),
    ],
)
def test_the_printed_proofs_hold(proof: str, method: str, target: str, iat: int, token: str | None) -> None:
    found = DpopVerifier().verify([proof], method=method, target=target, now_ms=iat * 1000, token=token)
    assert isinstance(found, DpopProof)
    assert (encoded(found.jkt), found.issued_at_ms) == (JKT, iat * 1000)


def test_the_printed_proof_is_for_the_printed_token_alone() -> None:
    found = DpopVerifier().verify(
        [RESOURCE_REQUEST], method="GET", target=RESOURCE, now_ms=1562262618_000, token=ACCESS_TOKEN + "x"
    )
    assert found is ProofFault.TOKEN


def shown(path: str, presented: str) -> Shown | Rejection:
    """Ask for possession of the printed key; the token's own claims are not printed, but its ``cnf`` is (Figure 6)."""
    jkt = decoded(JKT)
    assert jkt is not None
    token = token_of(Confirmation(jkt=Thumbprint(jkt)))
    asks = Asks(
        credential=CredentialKind.ACCESS_TOKEN,
        bound_to=frozenset({BoundTo.DPOP}),
        header="authorization",
        scheme="DPoP",
    )
    facts = Facts(
        method="GET",
        scheme="https",
        host="resource.example.org",
        path=path,
        headers={"authorization": (f"DPoP {presented}",), "dpop": (RESOURCE_REQUEST,)},
        peer=Peer(address="10.0.0.7", port=1, principal="", certificate=Reason.CERTIFICATE_MISSING),
        stream_id="1",
        started_at_us=1,
        context_extensions={},
    )
    return Possession().shown(token, presented, asks=asks, facts=facts, now_ms=1562262618_000)


def test_the_printed_request_shows_possession_of_the_printed_key() -> None:
    found = shown("/protectedresource", ACCESS_TOKEN)
    assert isinstance(found, Shown)
    assert found.carriers == ("dpop",)
    for path, presented in (("/protectedresource/2", ACCESS_TOKEN), ("/protectedresource", ACCESS_TOKEN[:-1])):
        refused = shown(path, presented)
        assert isinstance(refused, Rejection)
        assert refused.reason is Reason.DPOP_PROOF_INVALID
