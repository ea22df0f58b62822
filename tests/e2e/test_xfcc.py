"""X-Forwarded-Client-Cert, forged, in each of Envoy's modes (notes: the mode table and the format the client picks)."""

import pytest

from tests.e2e.listeners import XFCC_MODES
from tests.e2e.rig import Rig

pytestmark = pytest.mark.e2e

STOLEN = (401, "certificate_mismatch")
CONFLICT = (401, "certificate_conflict")
MISSING = (401, "certificate_missing")
MALFORMED = (401, "certificate_header_malformed")
PASSED = (200, None)


def _claiming(rig: Rig, name: str) -> str:
    """An XFCC element that claims somebody's certificate."""
    return f"Hash={rig.identities[name].thumbprint.hex()};URI=spiffe://bank.example/{name}"


# The thief holds rgs's token and forges rgs's XFCC.  (mode, judged by the connection, by XFCC beside it, by XFCC alone)
FORGED = [
    ("SANITIZE", STOLEN, STOLEN, MISSING),
    ("SANITIZE_SET", STOLEN, STOLEN, STOLEN),
    ("APPEND_FORWARD", STOLEN, STOLEN, STOLEN),  # forged first, real last: the last one counts
    ("FORWARD_ONLY", CONFLICT, CONFLICT, PASSED),  # only the forged one: see test_what_xfcc_alone_cannot_see
    ("ALWAYS_FORWARD_ONLY", CONFLICT, CONFLICT, PASSED),
]


@pytest.mark.parametrize(("mode", "by_connection", "by_both"), [row[:3] for row in FORGED])
def test_a_thief_with_a_forged_header_is_refused(
    rig: Rig, mode: str, by_connection: tuple[int, str], by_both: tuple[int, str]
) -> None:
    forged = [("x-forwarded-client-cert", _claiming(rig, "rgs"))]
    token = rig.good()
    assert rig.call(listener=f"peer-{mode}", token=token, caller="thief", headers=forged).outcome == by_connection
    assert rig.call(listener=f"xfcc-{mode}", token=token, caller="thief", headers=forged).outcome == by_both
    assert rig.call(token=token).status == 200


@pytest.mark.parametrize(("mode", "expected"), [(row[0], row[3]) for row in FORGED])
def test_what_xfcc_alone_cannot_see(rig: Rig, mode: str, expected: tuple[int, str | None]) -> None:
    """Documents the limit: with ``source: xfcc`` and no peer certificate, Envoy's mode is the whole protection.

    FORWARD_ONLY and ALWAYS_FORWARD_ONLY hand the client's own header through; nothing in the Check tells it from a real
    one.  That is why the shipped configuration sends the certificate and says SANITIZE_SET.
    """
    forged = [("x-forwarded-client-cert", _claiming(rig, "rgs"))]
    answer = rig.call(listener=f"xfcc-only-{mode}", token=rig.good(), caller="thief", headers=forged)
    assert answer.outcome == expected


@pytest.mark.parametrize("mode", XFCC_MODES)
def test_without_tls_a_forged_header_counts_only_where_envoy_forwards_anything(rig: Rig, mode: str) -> None:
    forged = [("x-forwarded-client-cert", _claiming(rig, "rgs"))]
    answer = rig.call(listener=f"plain-{mode}", token=rig.good(), headers=forged)
    assert answer.outcome == (PASSED if mode == "ALWAYS_FORWARD_ONLY" else MISSING)


@pytest.mark.parametrize("mode", ["SANITIZE_SET", "APPEND_FORWARD"])
@pytest.mark.parametrize("kind", ["peer", "xfcc", "xfcc-only"])
def test_the_owner_passes_in_the_modes_that_say_who_calls(rig: Rig, kind: str, mode: str) -> None:
    answer = rig.call(listener=f"{kind}-{mode}", token=rig.good())
    assert answer.outcome == PASSED


@pytest.mark.parametrize("mode", ["SANITIZE", "SANITIZE_SET", "APPEND_FORWARD"])
def test_the_owner_passes_however_he_decorates_his_own_call(rig: Rig, mode: str) -> None:
    """A subject with commas, quotes and semicolons (ours has all three) and somebody else's element in front."""
    forged = [("x-forwarded-client-cert", _claiming(rig, "thief"))]
    assert rig.call(listener=f"peer-{mode}", token=rig.good(), headers=forged).outcome == PASSED


# Under APPEND_FORWARD the client picks the format and may break it: no element of a broken header is believed.
BROKEN = [
    ("an unbalanced quote swallows the real element", 'Hash={victim};Subject="x'),
    ("an open JSON array", '[{"Hash":"AA"'),
    ("a JSON object", '{"Hash":"AA"}'),
    ("an empty JSON array makes invalid JSON", "[]"),
    ("an unknown key", "Hash={victim};Role=admin"),
    ("two hashes in one element", "Hash={victim};Hash={victim}"),
    ("text after a closing quote", 'Hash={victim};Subject="x"y'),
    ("bad hex", "Hash=zz"),
    ("an empty element", "Hash={victim},"),
    ("no key at all", "nonsense"),
    ("a JSON element of unknown keys", '[{"Hash":"AA"}]'),
]


@pytest.mark.parametrize("forged", [pytest.param(text, id=name) for name, text in BROKEN])
@pytest.mark.parametrize("listener", ["peer-APPEND_FORWARD", "xfcc-APPEND_FORWARD", "xfcc-only-APPEND_FORWARD"])
def test_a_broken_header_is_no_certificate(rig: Rig, listener: str, forged: str) -> None:
    value = forged.replace("{victim}", rig.identities["rgs"].thumbprint.hex())
    headers = [("x-forwarded-client-cert", value)]
    answer = rig.call(listener=listener, token=rig.good(), caller="thief", headers=headers)
    assert answer.outcome == MALFORMED
    assert answer.deliveries == []


def test_a_json_header_is_read_as_strictly(rig: Rig) -> None:
    """The client says JSON, Envoy appends its own element in JSON; the last one is still the caller's."""
    forged = [("x-forwarded-client-cert", f'[{{"hash":"{rig.identities["rgs"].thumbprint.hex()}"}}]')]
    assert rig.call(listener="peer-APPEND_FORWARD", token=rig.good(), caller="thief", headers=forged).outcome == STOLEN
    assert rig.call(listener="peer-APPEND_FORWARD", token=rig.good(), headers=forged).outcome == PASSED


def test_a_thousand_elements_are_refused(rig: Rig) -> None:
    element = _claiming(rig, "rgs")
    forged = [("x-forwarded-client-cert", ",".join([element] * 300))]
    answer = rig.call(listener="peer-APPEND_FORWARD", token=rig.good(), headers=forged)
    assert answer.outcome == MALFORMED


def test_the_upstream_sees_the_real_element_and_not_the_forged_one(rig: Rig) -> None:
    forged = _claiming(rig, "thief")
    answer = rig.call(token=rig.good(), headers=[("x-forwarded-client-cert", forged)])
    seen = answer.delivery.all("x-forwarded-client-cert")
    assert len(seen) == 1
    assert rig.identities["rgs"].thumbprint.hex() in seen[0]
    assert rig.identities["thief"].thumbprint.hex() not in seen[0]


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        ("shipped", CONFLICT),
        ("peer-SANITIZE", STOLEN),
        ("xfcc-SANITIZE_SET", CONFLICT),
        ("edge-hops", (401, "certificate_hop_untrusted")),  # exact_hops: one element too many
        ("xfcc-only-SANITIZE_SET", PASSED),  # documents the limit: no header tells this from the truth
    ],
)
def test_a_name_with_a_comma_writes_no_element_that_counts(
    rig: Rig, listener: str, expected: tuple[int, str | None]
) -> None:
    """Envoy 1.40 writes SANs unquoted; whoever gets a name with a comma signed writes ``,Hash=<victim>`` into XFCC."""
    assert rig.call(listener=listener, token=rig.good(), caller="smuggler").outcome == expected


# --- an edge proxy in front: the caller's element is one to the left, and the one to its right must be the gateway's


def test_one_trusted_hop_finds_the_caller_behind_the_gateway(rig: Rig) -> None:
    assert rig.call(listener="edge-hops", token=rig.good()).outcome == PASSED


def test_one_trusted_hop_refuses_a_thief_behind_the_gateway(rig: Rig) -> None:
    forged = [("x-forwarded-client-cert", _claiming(rig, "rgs"))]
    assert rig.call(listener="edge-hops", token=rig.good(), caller="thief", headers=forged).outcome == STOLEN


@pytest.mark.parametrize("listener", ["hops-SANITIZE_SET", "hops-APPEND_FORWARD"])
def test_where_a_hop_is_expected_a_direct_caller_cannot_play_it(rig: Rig, listener: str) -> None:
    """The thief writes rgs's element; Envoy appends the thief's, which is no gateway of ours."""
    forged = [("x-forwarded-client-cert", _claiming(rig, "rgs"))]
    untrusted = (401, "certificate_hop_untrusted")
    assert rig.call(listener=listener, token=rig.good(), caller="thief", headers=forged).outcome == untrusted
    assert rig.call(listener=listener, token=rig.good()).outcome == untrusted


def test_behind_a_proxy_the_connection_is_the_proxys(rig: Rig) -> None:
    """``source: peer`` behind another proxy sees the proxy; a caller's token does not fit, the proxy's own would."""
    assert rig.call(listener="edge", token=rig.good()).outcome == STOLEN
    gateways = rig.good(cnf={"x5t#S256": rig.identities["gateway"].x5t_s256})
    assert rig.call(listener="edge", token=gateways).outcome == PASSED
