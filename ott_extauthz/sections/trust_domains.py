"""Which trust domains does the operator believe, each on whose word?  The ``trust_domains`` of ``ott.yaml``."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from ott_extauthz.documents.validated import Model

TrustDomainName = Annotated[str, Field(pattern=r"^[a-z0-9._-]{1,255}$")]  # SPIFFE-ID §2.1


class TrustDomain(Model):
    """A SPIFFE trust domain: ``bundle`` is a file with its authorities, a SPIFFE bundle (JSON) or PEM.  It is followed.

    Intermediates that sign workloads must stand in it: Envoy hands on the workload's own certificate alone.
    """

    bundle: Annotated[Path, Field(strict=False)]
