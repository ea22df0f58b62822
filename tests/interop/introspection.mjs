// A foreign issuer of opaque tokens that stays: oidc-provider over TLS, with introspection and revocation.
//
// Reads {issuer, audience, tls, certificate, jwk} from the first line of standard input; prints {port} and serves until
// the input ends.  It stands behind a "proxy" that speaks for its real name.  `rgs` gets tokens by client credentials,
// bound to `certificate` (which the "proxy" saw); `wallet` and `signer` may introspect: by a secret, and by a key.
import { once } from 'node:events'
import { createServer } from 'node:https'
import { X509Certificate } from 'node:crypto'
import { createInterface } from 'node:readline'
import Provider from 'oidc-provider'

const lines = createInterface({ input: process.stdin })
const job = JSON.parse((await once(lines, 'line'))[0])
lines.on('close', () => process.exit(0))

const machine = { grant_types: [], redirect_uris: [], response_types: [] }
const provider = new Provider(job.issuer, {
  clients: [
    { ...machine, client_id: 'rgs', client_secret: 'rgs-secret', grant_types: ['client_credentials'],
      tls_client_certificate_bound_access_tokens: true },
    { ...machine, client_id: 'wallet', client_secret: job.secret },
    { ...machine, client_id: 'signer', token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: job.jwk.alg, jwks: { keys: [job.jwk] } },
    { ...machine, client_id: 'nobody', client_secret: job.secret },
  ],
  clientAuthMethods: ['client_secret_basic', 'private_key_jwt'],
  enabledJWA: { clientAuthSigningAlgValues: [job.jwk.alg] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true, allowedPolicy: (_, client) => ['wallet', 'signer'].includes(client.clientId) },
    revocation: { enabled: true },
    mTLS: {
      enabled: true,
      certificateBoundAccessTokens: true,
      getCertificate: () => new X509Certificate(job.certificate),
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => job.audience,
      getResourceServerInfo: () => ({
        scope: 'wallet:credit',
        audience: job.audience,
        accessTokenFormat: 'opaque',
        accessTokenTTL: 300,
      }),
    },
  },
})
provider.proxy = true

const callback = provider.callback()
const server = createServer({ cert: job.tls.cert, key: job.tls.key }, (req, res) => {
  req.headers['x-forwarded-proto'] = 'https'
  req.headers['x-forwarded-host'] = new URL(job.issuer).host
  return callback(req, res)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
process.stdout.write(`${JSON.stringify({ port: server.address().port })}\n`)
