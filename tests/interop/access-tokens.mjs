// A foreign issuer that serves: oidc-provider over https on loopback, with JWT access tokens, whose keys turn under us.
//
// The first line of standard input is {cert, key, audiences}; answered with {issuer, client_id, client_secret}. Each
// further line has the keys turned: the new one signs from now on, the old one stays published. Every answer counts the
// times that the key set was asked for. Ends when the input ends.
import { once } from 'node:events'
import { createServer } from 'node:https'
import { createInterface } from 'node:readline'
import * as jose from 'jose'
import Provider from 'oidc-provider'
import * as oauth from 'oauth4webapi'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const job = JSON.parse((await lines.next()).value)
const client = { client_id: 'lobby', client_secret: oauth.generateRandomState() }
const keys = []
let handle = (_, res) => res.writeHead(503).end()
let fetched = 0

const server = createServer({ cert: job.cert, key: job.key }, (req, res) => {
  if (req.url.startsWith('/jwks')) fetched += 1
  return handle(req, res)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const issuer = `https://127.0.0.1:${server.address().port}`

async function turn() {
  const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true })
  keys.unshift({ ...(await jose.exportJWK(privateKey)), kid: `idp-${keys.length + 1}`, use: 'sig', alg: 'ES256' })
  const provider = new Provider(issuer, {
    jwks: { keys: [...keys] },
    clients: [{
      ...client,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES256',
    }],
    cookies: { keys: [oauth.generateRandomState()] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: 'wallet:read wallet:debit',
          audience: job.audiences[resource],
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    ttl: { ClientCredentials: 300 },
  })
  handle = provider.callback()
}

const tell = (answer) => process.stdout.write(JSON.stringify({ ...answer, fetched }) + '\n')
await turn()
tell({ issuer, ...client })
for await (const line of lines) {
  if (line === 'turn') await turn()
  tell({})
}
server.close()
server.closeAllConnections()
