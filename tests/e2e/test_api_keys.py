"""An API key through a real Envoy: the client hears that it ends, the service never sees it."""

from email.utils import parsedate_to_datetime

import pytest

from ott_extauthz.authn.api_key_form import new_key
from tests.e2e.conftest import rigs
from tests.e2e.forge import now
from tests.e2e.rig import Rig

pytestmark = pytest.mark.e2e
on_memory = pytest.mark.parametrize("rig", rigs("memory"), indirect=True, scope="session")


@on_memory
def test_a_key_passes_again_and_again_and_its_client_is_told_that_it_ends(rig: Rig) -> None:
    for _ in range(2):
        answer = rig.call(target="/v1/erp", headers=[("x-api-key", rig.api_key)], caller="thief")
        assert answer.outcome == (200, None)
        assert answer.delivery.all("x-api-key") == []
        assert answer.delivery.header("x-ott-client") == "rgs"
        [sunset], [deprecation] = answer.reply.all("sunset"), answer.reply.all("deprecation")
        assert 6 < (parsedate_to_datetime(sunset).timestamp() - now()) / 86_400 <= 7
        assert int(deprecation.removeprefix("@")) <= now()


@on_memory
def test_a_wrong_key_and_one_in_another_place_are_refused(rig: Rig) -> None:
    wrong = new_key("ottkey", lambda count: bytes([7]) * count).text
    for headers, reason in (
        ([("x-api-key", wrong)], "api_key_unknown"),
        ([("x-api-key", rig.api_key[:-1])], "api_key_malformed"),
        ([("x-api-key", rig.api_key), ("x-api-key", wrong)], "header_duplicated"),
        ([("cookie", f"x-api-key={rig.api_key}")], "credential_missing"),
    ):
        answer = rig.call(target=f"/v1/erp?x-api-key={rig.api_key}", headers=headers)
        assert (answer.reason, answer.deliveries) == (reason, [])
        assert answer.reply.all("sunset") == []
        [line] = rig.audit(answer.reply.header("x-ott-decision-id") or "?")
        assert rig.api_key not in str(line)
        assert rig.api_key.partition(".")[2] not in str(line)
