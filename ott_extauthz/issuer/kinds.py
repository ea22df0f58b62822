"""What are the kinds of tokens called?  In ``clients.yaml``, in a token request (RFC 8693 §3), in a token."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ott_extauthz.model.token import TokenKind


class TokenTypeUri(StrEnum):
    """Token types, spelled as registered."""

    ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # RFC 8693 §3
    ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
    JWT = "urn:ietf:params:oauth:token-type:jwt"
    TXN_TOKEN = "urn:ietf:params:oauth:token-type:txn_token"  # draft-ietf-oauth-transaction-tokens


class GrantedToken(StrEnum):
    """A kind of token that ``clients.yaml`` may grant."""

    ONE_TIME_TOKEN = "one_time_token"
    MANDATE = "mandate"
    ACCESS_TOKEN = "access_token"
    TRANSACTION_TOKEN = "transaction_token"

    @property
    def kind(self) -> TokenKind:
        """What is minted: a mandate is an access token narrowed by its details."""
        return _KINDS[self]


_KINDS: Final = MappingProxyType(
    {
        GrantedToken.ONE_TIME_TOKEN: TokenKind.ONE_TIME,
        GrantedToken.MANDATE: TokenKind.ACCESS,
        GrantedToken.ACCESS_TOKEN: TokenKind.ACCESS,
        GrantedToken.TRANSACTION_TOKEN: TokenKind.TRANSACTION,
    }
)
TYPE_OF: Final = MappingProxyType(
    {
        TokenKind.ONE_TIME: TokenTypeUri.JWT,
        TokenKind.ACCESS: TokenTypeUri.ACCESS_TOKEN,
        TokenKind.TRANSACTION: TokenTypeUri.TXN_TOKEN,
    }
)
KIND_OF: Final = MappingProxyType({uri: kind for kind, uri in TYPE_OF.items()})
