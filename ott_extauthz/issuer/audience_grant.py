"""What may a client have for one audience?  One entry of ``audiences`` in ``clients.yaml``."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, field_validator, model_validator

from ott_extauthz.documents.validated import Duration
from ott_extauthz.issuer.ceiling import BudgetCeiling, Ceiling
from ott_extauthz.issuer.kinds import GrantedToken
from ott_extauthz.issuer.order import DEFAULT_RING, MIN_LIFETIME_MS
from ott_extauthz.model.constraint_forms import count_from
from ott_extauthz.model.money import money_from
from ott_extauthz.model.token import MAX_LIFETIME_MS, TokenFormat, TokenKind
from ott_extauthz.policy.constraints.document import Amount, Described, Names, Networks, Numbers, Rate, Windows

ACCESS_LIFETIME_MS: Final = 120_000

Scope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,128}$")]  # RFC 6749 §3.3


def _token(word: Any) -> Any:  # noqa: ANN401 - whatever stood in the file
    if word not in tuple(GrantedToken):
        raise ValueError("one of " + ", ".join(GrantedToken))
    return GrantedToken(word)


def _budget(written: object) -> BudgetCeiling:
    if not isinstance(written, dict) or not written or not written.keys() <= {"amount", "count"}:
        raise ValueError('a budget is written {amount: {value: "5000", currency: EUR}, count: 10}, one of them or both')
    return BudgetCeiling(
        money_from(written["amount"]) if "amount" in written else None,
        count_from(written["count"]) if "count" in written else None,
    )


Budget = Annotated[BudgetCeiling, PlainValidator(_budget), WithJsonSchema({"type": "object"})]
Token = Annotated[GrantedToken, BeforeValidator(_token)]


class AudienceGrant(Described):
    """What a client may have for one audience; nothing it asks for beyond this is trimmed, all of it is refused."""

    scopes: Annotated[list[Scope], Field(min_length=1)]
    """The scopes it may ask for; a request without `scope` means all of them."""
    tokens: Annotated[list[Token], Field(min_length=1)] = Field(default=[GrantedToken.ONE_TIME_TOKEN])
    """The kinds of tokens: `one_time_token`, `mandate`, `access_token`, `transaction_token`."""
    lifetime: Duration | None = None
    """How long a one-time or transaction token lives; without it as long as `issuer.lifetime` says."""
    access_lifetime: Duration = ACCESS_LIFETIME_MS
    """How long a mandate or access token lives."""
    max_lifetime: Duration = MAX_LIFETIME_MS
    """How long any token may live."""
    ring: str = DEFAULT_RING
    """The keys of `issuer.rings` that its tokens are signed with; without it, those of `issuer.keys`."""
    format: TokenFormat = "jwt"
    """How its tokens are written: `jwt`, or `paseto` (v4.public, one-time tokens alone) with a `ring` of their own."""
    impersonates: bool = False
    """Tokens exchanged for this audience do not say that this client acts, unless the subject token names an actor."""
    workload_bound: bool = False
    """It may ask for tokens without certificate: good for whoever proves the workload's SPIFFE ID, their `sub`."""
    brands: Names | None = None
    """The ceiling of `brand` in mandates."""
    regions: Names | None = None
    """The ceiling of `region` in mandates."""
    cidr: Networks | None = None
    """The ceiling of `cidr` in mandates."""
    asn: Numbers | None = None
    """The ceiling of `asn` in mandates."""
    time_of_day: Windows | None = None
    """The ceiling of `time_of_day` in mandates, each zone by itself."""
    max_amount: Amount | None = None
    """The ceiling of `max_amount` in mandates."""
    rate_limit: Rate | None = None
    """The rate that every token carries, one counter for each subject; the ceiling of rates that are asked for."""
    budget: Budget | None = None
    """The ceiling of `budget` in mandates."""

    @field_validator("lifetime", "access_lifetime", "max_lifetime")
    @classmethod
    def _is_bounded(cls, value: int | None) -> int | None:
        if value is not None and not MIN_LIFETIME_MS <= value <= MAX_LIFETIME_MS:
            raise ValueError("between 1s and 300s")
        return value

    @model_validator(mode="after")
    def _holds_together(self) -> "AudienceGrant":
        if self.lifetime is not None and self.lifetime > self.max_lifetime:
            raise ValueError("lifetime is longer than max_lifetime")
        if "access_lifetime" in self.model_fields_set and self.access_lifetime > self.max_lifetime:
            raise ValueError("access_lifetime is longer than max_lifetime")
        if len(set(self.scopes)) != len(self.scopes):
            raise ValueError("a scope stands twice")
        if len(set(self.tokens)) != len(self.tokens):
            raise ValueError("a kind of token stands twice")
        if GrantedToken.TRANSACTION_TOKEN in self.tokens and len(self.tokens) > 1:
            raise ValueError("transaction_token stands alone: its audience is a trust domain, not a service")
        if self.format == "paseto" and self.tokens != [GrantedToken.ONE_TIME_TOKEN]:
            raise ValueError("format: paseto is for one_time_token alone")
        return self

    def lifetime_ms(self, default_ms: int, kind: TokenKind = TokenKind.ONE_TIME) -> int:
        """How long a token of this kind lives for this audience."""
        if kind is TokenKind.ACCESS:
            return min(self.access_lifetime, self.max_lifetime)
        return min(self.lifetime if self.lifetime is not None else default_ms, self.max_lifetime)

    @property
    def ceiling(self) -> Ceiling:
        """What mandates for this audience stay within."""
        return Ceiling(
            brand=self.brands,
            region=self.regions,
            cidr=self.cidr,
            asn=self.asn,
            time_of_day=self.time_of_day,
            max_amount=self.max_amount,
            rate_limit=self.rate_limit,
            budget=self.budget,
        )
