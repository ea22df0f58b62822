"""A folder with everything that a server needs to attach tokens: policy, clients, keys and certificates."""

from pathlib import Path

from ott_extauthz.demo.pki import Authority
from ott_extauthz.stores.keyring import init_keys
from tests.fakes.clock import START_MS

APP_A = "spiffe://bank.example/app-a"
AUTHORITY = Authority("attach")
POLICY = """
routes:
  - name: out
    match: {path: /a}
    attach: one_time_token
    audience: a
"""
CLIENTS = f"""
clients:
  - client_id: app-a
    authentication: tls_client_auth
    certificate: {{spiffe_id: "{APP_A}"}}
    audiences: {{a: {{scopes: [s]}}}}
"""
ISSUER = "issuer: {url: 'https://i.example', keys: keys, clients: clients.yaml}\n"
GRPC = "attach: {issuer: {address: '127.0.0.1:1', ca: ca.pem, certificate: w.pem, key: w-key.pem}}\n"


def attaching_folder(folder: Path) -> Path:
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "clients.yaml").write_text(CLIENTS)
    init_keys(folder / "keys", now_ms=START_MS)
    AUTHORITY.write(folder)
    AUTHORITY.issue("a", uri=APP_A).write(folder, "w")
    AUTHORITY.issue("a", dns=("a.bank.example",)).write(folder, "n")
    return folder
