"""What does a route's author write about signed requests?"""

from collections.abc import Callable
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from ott_extauthz.documents.validated import Duration
from ott_extauthz.model.message_component import component_from
from ott_extauthz.policy.constraints.document import Place
from ott_extauthz.policy.document.words import Name, Rule, checked, distinct, is_header_name
from ott_extauthz.policy.terms import DEFAULT_AHEAD_MS, DEFAULT_WINDOW_MS, EventTerms, SignedRequestTerms

_DAY_MS: Final = 86_400_000


def _one_spelling(text: str) -> str:
    return str(component_from(text))


_Component = Annotated[str, AfterValidator(_one_spelling)]


def _between(least_ms: int, most_ms: int, told: str) -> Callable[[int], int]:
    def bounded(value: int) -> int:
        if not least_ms <= value <= most_ms:
            raise ValueError(told)
        return value

    return bounded


_is_a_window: Final = _between(1000, 3_600_000, "between 1s and 1h: what was signed in that time is remembered")
_is_ahead: Final = _between(1, 300_000, "at most 5m, and longer than nothing")
_is_kept: Final = _between(1000, 31 * _DAY_MS, "between 1s and 31d: every event of that time is remembered")


class EventRule(Rule):
    """Where the request names its event, and what becomes of an event that was delivered before."""

    header: Annotated[str, checked(is_header_name, "a header is a lower-case token without '_'")] | None = None
    """The header that names it; it must be signed."""
    pointer: Place | None = None
    """The JSON pointer (RFC 6901) of its name in the body: `/event/id`."""
    keep: Annotated[Duration, AfterValidator(_is_kept)] = _DAY_MS
    """How long a delivered event is remembered: 1s to 31d, and never less than the signature is good."""
    on_repeat: Literal[200, 409] = 409
    """The answer to an event that was delivered before."""

    @model_validator(mode="after")
    def _one_place(self) -> "EventRule":
        if (self.header is None) == (self.pointer is None):
            raise ValueError("exactly one of header and pointer names the event")
        return self


class SignedRequestRule(Rule):
    """Whose signatures are taken, how old, over what."""

    partners: Annotated[list[Name], Field(min_length=1), AfterValidator(distinct)] | None = None
    """The partners (`partners.yaml`) that may sign, any of these; absent = every partner."""
    window: Annotated[Duration, AfterValidator(_is_a_window)] = DEFAULT_WINDOW_MS
    """How long ago the request may have been signed: 1s to 1h."""
    ahead: Annotated[Duration, AfterValidator(_is_ahead)] = DEFAULT_AHEAD_MS
    """How far ahead of our clock the signed instant may lie, at most 5m; a store that forgot refuses for as long."""
    components: Annotated[list[_Component], Field(min_length=1), AfterValidator(distinct)] | None = None
    """Components that an HTTP message signature (RFC 9421) must cover, beside method, target and `content-digest`."""
    tag: Annotated[str, Field(pattern=r"^[\x20\x21\x23-\x5b\x5d-\x7e]{1,128}$")] | None = None
    """The `tag` that an HTTP message signature must carry: the application that it was made for."""
    event: EventRule | None = None
    """Where the event is named; absent = only the signature is good once (Standard Webhooks: `webhook-id`, for 24h)."""

    def compiled(self) -> SignedRequestTerms:
        """Return them as the check wants them."""
        event = self.event
        return SignedRequestTerms(
            partners=None if self.partners is None else frozenset(self.partners),
            window_ms=self.window,
            ahead_ms=self.ahead,
            components=tuple(map(component_from, self.components or ())),
            tag=self.tag,
            event=None
            if event is None
            else EventTerms(
                header=event.header, pointer=event.pointer, kept_ms=event.keep, repeat_status=event.on_repeat
            ),
        )
