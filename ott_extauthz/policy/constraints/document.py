"""What does a route's author write about constraints?  The models; what a field must not say beside another one too."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from ott_extauthz.documents.validated import Model
from ott_extauthz.model.constraint_forms import names_from, networks_from, numbers_from, rate_from, windows_from
from ott_extauthz.model.mandate import Constraints, Money, RateLimit, TimeOfDay
from ott_extauthz.model.money import MINOR_DIGITS, money_from
from ott_extauthz.policy.limits import NO_LIMITS, AmountSource, Bound, BrandSource, Limits
from ott_extauthz.policy.pointer import Pointer, pointer_from
from ott_extauthz.policy.template import Template, parameters_of

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_WINDOW: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"from": _TEXT, "to": _TEXT, "zone": _TEXT},
    "required": ["from", "to", "zone"],
    "additionalProperties": False,
}


def _one_or_list(schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]})


def _object(**properties: dict[str, Any]) -> WithJsonSchema:
    required = list(properties)
    return WithJsonSchema(
        {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    )


def _currency(value: object) -> str:
    if not isinstance(value, str) or value not in MINOR_DIGITS:
        raise ValueError("not an ISO 4217 code in capitals")
    return value


_VALUE: Final[dict[str, Any]] = {"anyOf": [_TEXT, {"type": "integer", "minimum": 0}]}
Names = Annotated[frozenset[str], PlainValidator(names_from), _one_or_list(_TEXT)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], PlainValidator(networks_from), _one_or_list(_TEXT)]
Numbers = Annotated[frozenset[int], PlainValidator(numbers_from), _one_or_list({"type": "integer", "minimum": 1})]
Windows = Annotated[tuple[TimeOfDay, ...], PlainValidator(windows_from), _one_or_list(_WINDOW)]
Rate = Annotated[RateLimit, PlainValidator(rate_from), _object(count={"type": "integer", "minimum": 1}, per=_TEXT)]
Amount = Annotated[Money, PlainValidator(money_from), _object(value=_VALUE, currency=_TEXT)]
Place = Annotated[Pointer, PlainValidator(pointer_from), WithJsonSchema(_TEXT)]
Currency = Annotated[str, PlainValidator(_currency), WithJsonSchema(_TEXT)]
BoundPart = Literal["method", "path", "body"]
SourceHeader = Annotated[str, Field(pattern=r"^[a-z0-9!#$%&'*+.^`|~-]{1,64}$")]


class Described(Model):
    """A part of the policy; the strings below its fields describe them."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class BrandFrom(Described):
    """One place."""

    header: SourceHeader | None = None
    """A request header, in lower case; exactly one line of it."""
    path: str | None = None
    """The name of a parameter of `match.path`."""
    body: Place | None = None
    """A JSON pointer (RFC 6901) into the body."""

    @model_validator(mode="after")
    def _is_one(self) -> "BrandFrom":
        if sum(part is not None for part in (self.header, self.path, self.body)) != 1:
            raise ValueError("exactly one of header, path (a parameter's name), body (a JSON pointer)")
        return self


class BrandRule(Described):
    """Where a request names its brand."""

    source: Annotated[BrandFrom, Field(alias="from")]
    """The place."""


class AmountRule(Described):
    """Where a request's JSON body has its amount."""

    value: Place
    """JSON pointer to the amount: decimal text, or a number without an exponent."""
    currency: Place | None = None
    """JSON pointer to its ISO 4217 currency."""
    currency_is: Currency | None = None
    """The one currency of the route, where the body names none."""
    unit: Literal["major", "minor"] = "major"
    """Whether `1250` is 1250 euros (`major`) or 12.50 (`minor`)."""

    @model_validator(mode="after")
    def _has_a_currency(self) -> "AmountRule":
        if (self.currency is None) == (self.currency_is is None):
            raise ValueError("exactly one of currency (a JSON pointer) and currency_is (a code)")
        return self

    def compiled(self) -> AmountSource:
        """Return it as the check wants it."""
        is_minor = self.unit == "minor"
        return AmountSource(value=self.value, currency=self.currency, currency_is=self.currency_is, is_minor=is_minor)


class ConstraintsRule(Described):
    """What every call of a route keeps to, whatever its token says.  A budget is a mandate's own."""

    brand: Names | None = None
    """The brands a request may be for."""
    region: Names | None = None
    """The regions of servers that may let a request through: their `region` in `ott.yaml`."""
    cidr: Networks | None = None
    """The networks a request may come from."""
    asn: Numbers | None = None
    """The autonomous systems a request may come from; needs `geoip` in `ott.yaml`."""
    time_of_day: Windows | None = None
    """The daily windows in which a request may come."""
    rate_limit: Rate | None = None
    """How many calls an account (issuer, client, subject) may make on this route."""
    max_amount: Amount | None = None
    """The largest amount of one request."""

    @model_validator(mode="after")
    def _says_something(self) -> "ConstraintsRule":
        if not self.model_fields_set:
            raise ValueError("constrains nothing; leave it out")
        return self

    def compiled(self) -> Constraints:
        """Return them as the check wants them."""
        return Constraints(**dict(self))


class LimitedRoute(Described):
    """The keys of a route that are about constraints."""

    brand: BrandRule | None = None
    """Where a request names its brand, for mandates and constraints that ask."""
    amount: AmountRule | None = None
    """Where a request has its amount, for mandates and constraints that ask."""
    constraints: ConstraintsRule | None = None
    """What every call keeps to, whatever its token says."""
    bound_to_request: Annotated[list[BoundPart], Field(min_length=1)] | None = None
    """What a token must name of the one request it is for: `htm`, `htp`, `digest`."""
    allow_unbuffered_empty: bool = False
    """Take a body that Envoy did not buffer for empty, where the token is for an empty one."""

    def template(self) -> Template:
        """Return the path template of the route."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _limits_can_be_read(self) -> "LimitedRoute":
        limits = self.constraints
        if limits is not None and limits.brand is not None and self.brand is None:
            raise ValueError("constraints.brand needs brand: {from: …}, where a request names its brand")
        if limits is not None and limits.max_amount is not None:
            if self.amount is None:
                raise ValueError("constraints.max_amount needs amount: {value: …}, where a request has its amount")
            if self.amount.currency_is not in (None, limits.max_amount.currency):
                raise ValueError("constraints.max_amount and amount.currency_is are in two currencies")
        parameter = None if self.brand is None else self.brand.source.path
        if parameter is not None and parameter not in parameters_of(self.template()):
            raise ValueError("brand.from.path: match.path has no parameter {name} of this name")
        return self

    def limits(self) -> Limits:
        """Return all of it as the check wants it."""
        made = Limits(
            brand=self._brand(),
            amount=None if self.amount is None else self.amount.compiled(),
            constraints=None if self.constraints is None else self.constraints.compiled(),
            bound_to_request=frozenset(map(Bound, self.bound_to_request or ())),
            allow_unbuffered_empty=self.allow_unbuffered_empty,
        )
        return NO_LIMITS if made == NO_LIMITS else made

    def _brand(self) -> BrandSource | None:
        if self.brand is None:
            return None
        source = self.brand.source
        segment = None if source.path is None else parameters_of(self.template())[source.path]
        return BrandSource(header=source.header, segment=segment, pointer=source.body)
