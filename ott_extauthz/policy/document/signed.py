"""What does a route's author write about signed requests?"""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from ott_extauthz.documents.validated import Duration
from ott_extauthz.policy.constraints.document import Place
from ott_extauthz.policy.document.words import Name, Rule, checked, distinct, is_header_name, positive
from ott_extauthz.policy.terms import DEFAULT_AHEAD_MS, DEFAULT_WINDOW_MS, EventTerms, SignedRequestTerms

_DAY_MS: Final = 86_400_000


class EventRule(Rule):
    """Where the request names its event, and what becomes of an event that was delivered before."""

    header: Annotated[str, checked(is_header_name, "a header is a lower-case token without '_'")] | None = None
    """The header that names it; it must be signed."""
    pointer: Place | None = None
    """The JSON pointer (RFC 6901) of its name in the body: `/event/id`."""
    keep: Annotated[Duration, AfterValidator(positive)] = _DAY_MS
    """How long a delivered event is remembered."""
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
    window: Annotated[Duration, AfterValidator(positive)] = DEFAULT_WINDOW_MS
    """How long ago the request may have been signed."""
    ahead: Annotated[Duration, AfterValidator(positive)] = DEFAULT_AHEAD_MS
    """How far ahead of our clock the signed instant may lie; after a store that forgot, honest senders wait as long."""
    components: Annotated[list[str], Field(min_length=1), AfterValidator(distinct)] | None = None
    """Components that an HTTP message signature (RFC 9421) must cover, all of these."""
    event: EventRule | None = None
    """Where the event is named; absent = nothing but the signature is good once."""

    def compiled(self) -> SignedRequestTerms:
        """Return them as the check wants them."""
        event = self.event
        return SignedRequestTerms(
            partners=None if self.partners is None else frozenset(self.partners),
            window_ms=self.window,
            ahead_ms=self.ahead,
            components=tuple(self.components or ()),
            event=None
            if event is None
            else EventTerms(
                header=event.header, pointer=event.pointer, kept_ms=event.keep, repeat_status=event.on_repeat
            ),
        )
