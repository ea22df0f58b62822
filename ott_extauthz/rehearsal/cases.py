"""What does a file of policy cases say?  A request, a caller, a token, a clock, a store, and what must come of it.

The keys of ``defaults`` stand in for those that a case leaves out, one level at a time; ``token: none`` is a request
without a token, whatever the defaults say.  A case ``like`` an earlier one takes from there whatever it leaves out, but
not what is expected: an attack is the good call with one thing changed.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, WithJsonSchema, model_validator

from ott_extauthz.documents.located import Located, read_yaml
from ott_extauthz.documents.problems import DocumentError, Problem
from ott_extauthz.documents.validated import Duration, Model, validated
from ott_extauthz.model.reason import Code, Reason
from ott_extauthz.model.step import Step
from ott_extauthz.policy.document.credential import CheckedKind
from ott_extauthz.sections.serving import ClockBounds

DEFAULT_AT: Final = "2026-01-01T12:00:00Z"
ALLOWED: Final = "OK"
_SECTIONS: Final = ("request", "peer", "token", "expect")
_OWN: Final = ("name", "like", "expect")
"""What a case never takes from the one that it is like."""


def _instant_ms(value: Any) -> int:  # noqa: ANN401 - whatever stood in the file
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("an instant is written 2026-01-01T12:00:00Z") from None
    if at.tzinfo is None:
        raise ValueError("an instant names its zone: 2026-01-01T12:00:00Z")
    try:
        return round(at.astimezone(UTC).timestamp() * 1000)
    except OverflowError:
        raise ValueError("an instant of the years 1 to 9999") from None


Instant = Annotated[int, BeforeValidator(_instant_ms), WithJsonSchema({"type": "string", "format": "date-time"})]


def _one_of(what: str, names: Iterable[str]) -> AfterValidator:
    known = sorted(map(str, names))

    def checked(value: str) -> str:
        if value not in known:
            near = difflib.get_close_matches(value, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "docs/operations.md lists them"
            raise ValueError(f"no such {what}; {hint}")
        return value

    return AfterValidator(checked)


class RequestCase(Model):
    """A request as Envoy would describe it; a header that is null is left out.

    ``buffered`` is what Envoy did with the body.
    """

    method: str = "GET"
    scheme: str = "https"
    host: str
    path: str = "/"
    headers: dict[str, str | list[str] | None] = Field(default={})
    body: str | None = None
    json_body: Annotated[JsonValue, Field(alias="json")] = None
    buffered: Literal["complete", "partial", "no", "as_text"] = "complete"
    extensions: dict[str, str] = Field(default={})

    @model_validator(mode="after")
    def _one_body(self) -> "RequestCase":
        if self.body is not None and self.json_body is not None:
            raise ValueError("either body or json")
        return self


class PeerCase(Model):
    """The caller.  ``certificate`` is a name that stands for a certificate of its own; None: the caller has none.

    64 hexadecimal digits are the SHA-256 of a real one, as ``sha256`` of a policy's client has it.  It names
    ``principal``, where that is a SPIFFE ID, and ``dns``.  ``asn`` is what the server's table of networks would say of
    the address.
    """

    certificate: str | None = None
    principal: str = ""
    dns: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9*._-]+$")]] = Field(default=[])
    address: str = "192.0.2.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 40000
    asn: Annotated[int, Field(ge=0, le=2**32 - 1)] | None = None


Proof = Literal["valid", "none", "of_another_key", "stale", "for_another_request"]


class TokenCase(Model):
    """A token, minted ``age`` ago; ``bound_to`` names the certificate it is bound to.

    An API key and a signed request are described in the same way, by the ``client_id``, ``scope`` and so on that they
    stand for.  ``credential`` says which it is where the route takes one of several; absent, the first.

    ``type`` is the ``typ`` of its header; absent, that of what the route takes: ``at+jwt`` for a mandate.

    What stands in ``claims`` is taken as it is, also where it replaces iss, jti, iat, exp, cnf, auth_time or digest; a
    claim that is null is left out.  ``auth_age`` is how long before the instant of the case the user logged in;
    ``proof`` binds it to a DPoP key and says how good its proof is.  ``digest_of`` is the body that the token
    is for, a text or JSON, whatever the request then carries.
    """

    claims: dict[str, JsonValue] = Field(default={})
    bound_to: str | None = None
    proof: Proof | None = None
    auth_age: Duration | None = None
    digest_of: JsonValue = None
    age: Duration = 1000
    lifetime: Duration = 30_000
    type: str | None = None
    signature: Literal["valid", "broken", "of_another_key", "of_an_unknown_issuer"] = "valid"
    header: str | None = None
    credential: CheckedKind | None = None


class Expectation(Model):
    """What must come of it; what is left out is not looked at.  ``headers`` are set for the upstream, or answered.

    ``attach`` is the audience whose token must be put on the request, ``sign`` the key that must sign
    it; no token is minted and nothing is signed in a rehearsal.

    A route in shadow lets everything on, so that ``would_be`` is what it is held to: a reason, a code, or OK, which it
    is where it is left out.
    """

    code: Annotated[str, _one_of("code", [ALLOWED, *Code])] | None = None
    reason: Annotated[str, _one_of("reason", Reason)] | None = None
    status: int | None = None
    route: str | None = None
    step: Annotated[str, _one_of("step", Step)] | None = None
    detail: str | None = None
    attach: str | None = None
    sign: str | None = None
    would_be: Annotated[str, _one_of("reason or code", [ALLOWED, *Code, *Reason])] | None = None
    headers: dict[str, str] = Field(default={})
    removes: list[str] = Field(default=[])

    @model_validator(mode="after")
    def _expects_something(self) -> "Expectation":
        if all(each is None for each in (self.code, self.reason, self.status, self.would_be, self.attach, self.sign)):
            raise ValueError(
                "one of code, reason, status, attach, sign, would_be is needed: a case that expects nothing cannot fail"
            )
        if self.code == ALLOWED and self.reason is not None:
            raise ValueError("an allow has no reason")
        return self


Source = Literal["ready", "unavailable", "refused"]
Store = Literal["ready", "spent", "fenced", "clock_disagrees", "not_primary", "unsafe", "unavailable"]


class Case(Model):
    """One request and what must come of it.

    ``earlier`` calls, just like this one but each with a token of its own, came before it in the same instant.
    ``also`` are the credentials that the request brings beside ``token``.
    ``tokens`` is how the source of an attaching route's tokens is.
    ``region`` is the server's, where it is another than the file's.
    """

    name: Annotated[str, Field(min_length=1)]
    like: str | None = None
    at: Annotated[Instant, Field(validate_default=True)] = DEFAULT_AT  # type: ignore[assignment] # read like a file's
    request: RequestCase
    peer: PeerCase = PeerCase()
    token: TokenCase | Literal["none"] = "none"
    also: list[TokenCase] = Field(default=[])
    store: Store = "ready"
    tokens: Source = "ready"
    region: str | None = None
    earlier: Annotated[int, Field(ge=0, le=10_000)] = 0
    expect: Expectation


class Suite(Model):
    """The whole file.  ``policy`` is relative to it: a file, a folder, or a list of them."""

    policy: Annotated[
        list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value), Field(min_length=1)
    ]
    region: str | None = None
    clock: ClockBounds = ClockBounds()
    cases: Annotated[list[Case], Field(min_length=1)]


def suite_from(text: str, source: str) -> tuple[Suite, Located]:
    """Read a file of cases.

    Raises:
        DocumentError: every problem at once, each with its place.
    """
    located = read_yaml(text, source)
    strangers = list(_strangers(located))
    if strangers:
        raise DocumentError(strangers)
    merged = Located(source, _with_defaults(located.data), located.places)
    suite = validated(merged, Suite)
    return suite, merged


def _cases(data: Any) -> list[Any]:  # noqa: ANN401 - whatever stood in the file
    cases = data.get("cases") if isinstance(data, dict) else None
    return cases if isinstance(cases, list) else []


def _strangers(located: Located) -> Iterator[Problem]:
    """Yield a problem for every case that is like none of the cases above it, and for every name given twice."""
    above: list[str] = []
    for index, case in enumerate(_cases(located.data)):
        if not isinstance(case, dict):
            continue
        like, name = case.get("like"), case.get("name")
        if isinstance(like, str) and like not in above:
            near = difflib.get_close_matches(like, above, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield located.problem(("cases", index, "like"), f"no case above has this name{hint}")
        if name in above:
            yield located.problem(("cases", index, "name"), "a case above has this name")
        if isinstance(name, str):
            above.append(name)


def _with_defaults(data: Any) -> Any:  # noqa: ANN401 - whatever stood in the file
    if not isinstance(data, dict) or not isinstance(data.get("defaults", {}), dict):
        return data
    defaults, rest = data.get("defaults", {}), {key: value for key, value in data.items() if key != "defaults"}
    by_name: dict[Any, dict[str, Any]] = {}
    filled = []
    for case in _cases(data):
        found = _filled(case, _model_of(case, by_name, defaults))
        filled.append(found)
        if isinstance(case, dict) and isinstance(case.get("name"), str):
            by_name[case["name"]] = found
    return rest | {"cases": filled} if filled else rest


def _model_of(case: Any, by_name: Mapping[Any, dict[str, Any]], defaults: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Return what stands in for the keys that a case leaves out."""
    like = case.get("like") if isinstance(case, dict) else None
    if not isinstance(like, str):
        return defaults
    taken = {key: value for key, value in by_name[like].items() if key not in _OWN}
    return taken | ({"expect": defaults["expect"]} if "expect" in defaults else {})


def _filled(case: Any, defaults: dict[str, Any]) -> Any:  # noqa: ANN401 - whatever stood in the file
    """Fill in what ``case`` leaves out; a section's keys are filled in, a claim's or header's too."""
    if not isinstance(case, dict):
        return case
    filled = defaults | case
    shared = [section for section in _SECTIONS if section in defaults and section in case]
    return filled | {section: _merged(defaults[section], case[section]) for section in shared}


def _merged(default: Any, value: Any) -> Any:  # noqa: ANN401 - whatever stood in the file
    if not isinstance(default, dict) or not isinstance(value, dict):
        return value
    merged = {name: part for name, part in default.items() if not _is_replaced(name, value)} | value
    for name in ("claims", "headers"):
        if isinstance(default.get(name), dict) and isinstance(value.get(name), dict):
            merged[name] = default[name] | value[name]
    return merged


def _is_replaced(name: str, value: dict[str, Any]) -> bool:
    """Whether the case brings the one that excludes this: a request has one body, however it is written."""
    return (name == "json" and "body" in value) or (name == "body" and "json" in value)
