"""What a client is told with its token: each kind under its own name, and how it is to be used."""

from dataclasses import replace

import pytest

from ott_extauthz.issuer.answer import TokenAnswer, answer_of
from ott_extauthz.issuer.order import MintOrder
from ott_extauthz.issuer.token_endpoint import Issued
from ott_extauthz.model.facts import Thumbprint
from ott_extauthz.model.token import TokenKind

ORDER = MintOrder(
    subject="u-1", client_id="rgs", audience="wallet.api", scope=frozenset({"b", "a"}), lifetime_ms=2_999,
    thumbprint=Thumbprint(bytes(32)),
)  # fmt: skip
JKT = Thumbprint(b"j" * 32)


@pytest.mark.parametrize(
    ("kind", "jkt", "name", "scheme"),
    [
        (TokenKind.ACCESS, None, "access_token", "Bearer"),
        (TokenKind.ACCESS, JKT, "access_token", "DPoP"),
        (TokenKind.ONE_TIME, None, "jwt", "Bearer"),
        (TokenKind.ONE_TIME, JKT, "jwt", "DPoP"),
        (TokenKind.TRANSACTION, None, "txn_token", "N_A"),
    ],
)
def test_the_answer_names_the_kind_and_its_use(kind: TokenKind, jkt: Thumbprint | None, name: str, scheme: str) -> None:
    assert answer_of(Issued("x.y.z", replace(ORDER, kind=kind, jkt=jkt))) == TokenAnswer(
        access_token="x.y.z",  # noqa: S106 - no password, and no token either
        issued_token_type=f"urn:ietf:params:oauth:token-type:{name}",
        token_type=scheme,
        expires_in=2,
        scope="a b",
    )


def test_details_are_shown_and_the_token_is_not_in_the_repr() -> None:
    details = [{"type": "mandate", "region": "EU"}]
    issued = Issued("x.y.z", replace(ORDER, narrowing={"authorization_details": details}))
    answer = answer_of(issued)
    assert answer.authorization_details == details
    assert "x.y.z" not in repr(answer) + repr(issued)
