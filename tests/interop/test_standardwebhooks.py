"""The library of Standard Webhooks signs what we verify, and verifies what we sign."""

import hmac
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from ott_extauthz.authn.partner_keys import secret_from
from ott_extauthz.authn.webhooks.message import SignedMessage
from ott_extauthz.authn.webhooks.standard import standard_content, standard_headers, standard_message
from tests.fakes.partners import gathered

SECRETS = [
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=",
    "whsec_" + "A" * 84,
]
BODIES = ['{"test": 2432232314}', "", "a.b.c", "Zoë \u2603", "x" * 65536]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("name", ["msg_p5jXN8AQM9LWM0D4loKWxJek", "1"])
def test_what_it_signs_we_verify_and_what_we_sign_it_verifies(secret: str, body: str, name: str) -> None:
    foreign, own = Webhook(secret), secret_from(secret.encode(), encoding="whsec")
    stamp = int(time.time())  # noqa: TID251 - the library looks at the machine's clock
    raw = body.encode()
    signed = foreign.sign(msg_id=name, timestamp=datetime.fromtimestamp(stamp, UTC), data=body)
    lines = (("webhook-id", name), ("webhook-timestamp", str(stamp)), ("webhook-signature", signed))
    message = standard_message(gathered(*lines))
    assert isinstance(message, SignedMessage)
    assert own.verifies(message.preamble + raw, message.signatures[0].value)
    assert not own.verifies(message.preamble + raw + b" ", message.signatures[0].value)

    mac = hmac.digest(own.secret, standard_content(name, str(stamp), raw), "sha256")
    ours = dict(standard_headers(name, str(stamp), (own.algorithm, mac)))
    assert ours["webhook-signature"] == signed
    foreign.verify(raw, ours, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        foreign.verify(raw + b" ", ours, json_parse=False)
