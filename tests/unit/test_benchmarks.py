"""What the benchmarks serve is what a server takes: a rule that is new must not leave them behind unseen."""

from pathlib import Path

import pytest

from bench.credential_files import Held, write
from ott_extauthz.bootstrap.inputs import check_inputs
from ott_extauthz.settings import load
from tests.fakes.clock import FakeClock


@pytest.mark.parametrize("with_domains", [False, True], ids=["plain", "trust domains"])
def test_the_configuration_of_every_credential_is_taken(tmp_path: Path, *, with_domains: bool) -> None:
    config = write(tmp_path, Held(), FakeClock().now_ms(), with_domains=with_domains)
    inputs = check_inputs(load(config, {}), str(config))
    assert inputs.trust.keys() & inputs.paseto_trust.keys()
