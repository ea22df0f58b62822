"""Where are uses remembered, and how is it reached?"""

from typing import Annotated, Literal

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from ott_extauthz.documents.validated import Duration, Model
from ott_extauthz.sections.words import FilePath
from ott_extauthz.store_url import StoreUrl, store_url


class Store(Model):
    """The used-list.  ``store: memory://`` is short for ``store: {url: memory://}``.

    ``wait`` counts a use only once so many replicas have it; ``all`` means every one of them, and ``replicas`` says how
    many the primary has: one that is cut off from its replicas counts none.
    """

    url: str
    password_file: FilePath | None = None
    ca: FilePath | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None
    timeout: Duration = 80
    sentinel_password_file: FilePath | None = None
    wait: Literal["all"] | Annotated[int, Field(ge=1, le=16)] | None = None
    replicas: Annotated[int, Field(ge=1, le=16)] | None = None

    @field_validator("url")
    @classmethod
    def _well_formed_and_without_secret(cls, value: str) -> str:
        store_url(value)
        return value

    @property
    def parts(self) -> StoreUrl:
        """The URL, taken apart."""
        return store_url(self.url)

    @property
    def kind(self) -> str:
        """What follows the ``+`` of a Redis URL: sentinel, cluster, quorum, or nothing."""
        return self.parts.kind

    @model_validator(mode="after")
    def _files_are_used(self) -> "Store":
        if (self.ca or self.certificate or self.key) and not self.url.startswith(("rediss", "postgresql")):
            raise ValueError(
                "ca, certificate and key are for TLS, which this URL does not speak: rediss://, postgresql://"
            )
        if self.key and not self.certificate:
            raise ValueError("key needs certificate: the one it belongs to")
        if self.url.startswith("postgresql") and self.certificate and not self.ca:
            raise ValueError("postgresql:// speaks TLS where ca is given; certificate needs it")
        if self.password_file and not self.url.startswith(("redis", "postgresql")):
            raise ValueError("password_file is for redis://, rediss:// and postgresql://")
        if self.sentinel_password_file and self.kind != "sentinel":
            raise ValueError("sentinel_password_file is for redis+sentinel://")
        return self

    @model_validator(mode="after")
    def _is_a_deployment(self) -> "Store":
        if not self.url.startswith("redis"):
            if self.wait or self.replicas:
                raise ValueError("wait and replicas are for redis://, redis+sentinel:// and redis+cluster://")
            return self
        servers = self.parts.servers
        if len(set(servers)) != len(servers):
            raise ValueError("a server of store.url stands twice")
        if not self.kind and len(servers) > 1:
            raise ValueError("several servers are written redis+sentinel://, redis+cluster:// or redis+quorum://")
        if self.kind == "quorum":
            if len(servers) < 3 or len(servers) % 2 == 0:  # noqa: PLR2004 - of two, one down leaves no majority
                raise ValueError(f"a quorum has 3 or 5 servers, an odd number; store.url names {len(servers)}")
            if self.wait or self.replicas:
                raise ValueError("a quorum's servers have no replicas to wait for; leave wait and replicas out")
        if (self.wait == "all") != (self.replicas is not None):
            raise ValueError(
                "wait: all and replicas go together: a primary that is cut off from its replicas counts none"
            )
        return self

    @property
    def is_memory(self) -> bool:
        """Whether the list lives in this process and dies with it."""
        return self.url.startswith("memory:")

    @property
    def asked(self) -> str | None:
        """The URL's scheme, which names the list in spans; None where nobody outside of this process is asked."""
        return None if self.is_memory else self.url.partition(":")[0]
