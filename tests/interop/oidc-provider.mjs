// A foreign issuer: oidc-provider logs a user in by the authorization code flow, and the tokens are printed.
//
// Reads {issuer, audience, user, acr, amr} from standard input; prints {id_token, access_token, jwks}. The provider
// listens on loopback behind a "proxy" that speaks for its real name, so that its tokens carry an https issuer.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import * as jose from 'jose'
import Provider from 'oidc-provider'
import * as oauth from 'oauth4webapi'
import { request } from 'undici'

const CLIENT = 'lobby'
const REDIRECT = 'https://lobby.casino.example/callback'
const job = JSON.parse(await text(process.stdin))
setTimeout(() => process.exit(3), 30_000).unref()

const { privateKey } = await jose.generateKeyPair('ES256', { extractable: true })
const secret = oauth.generateRandomState()
const claims = { auth_time: null, acr: null, amr: null, sid: null }
const provider = new Provider(job.issuer, {
  jwks: { keys: [{ ...(await jose.exportJWK(privateKey)), kid: 'login-1', use: 'sig', alg: 'ES256' }] },
  clients: [{ client_id: CLIENT, client_secret: secret, redirect_uris: [REDIRECT], id_token_signed_response_alg: 'ES256' }],
  cookies: { keys: [oauth.generateRandomState()] },
  claims: { openid: ['sub'], ...claims },
  acrValues: [job.acr],
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  extraTokenClaims: (ctx) => {
    const code = ctx.oidc.entities.AuthorizationCode
    return { auth_time: code?.authTime, acr: code?.acr, amr: code?.amr }
  },
  features: {
    claimsParameter: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => job.audience,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'wallet:credit',
        audience: job.audience,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  ttl: { AccessToken: 300, AuthorizationCode: 60, Grant: 300, IdToken: 300, Interaction: 60, Session: 300 },
})
provider.proxy = true

async function interact(req, res) {
  const { prompt, params } = await provider.interactionDetails(req, res)
  if (prompt.name === 'login') {
    const login = { accountId: job.user, acr: job.acr, amr: job.amr, remember: false }
    return provider.interactionFinished(req, res, { login })
  }
  const grant = new provider.Grant({ accountId: job.user, clientId: params.client_id })
  grant.addOIDCScope('openid')
  grant.addResourceScope(job.audience, 'wallet:credit')
  return provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } })
}

const callback = provider.callback()
const server = createServer((req, res) => {
  if (!req.url.startsWith('/interaction/')) return callback(req, res)
  return interact(req, res).catch((error) => res.writeHead(500).end(error.name))
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')

const jar = new Map()
async function visit(url, options = {}) {
  const { pathname, search, host } = new URL(url, job.issuer)
  const headers = {
    ...options.headers,
    host,
    'x-forwarded-proto': 'https',
    cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
  }
  const answer = await request(`http://127.0.0.1:${server.address().port}${pathname}${search}`, { ...options, headers })
  for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)
    if (value) jar.set(name, value)
    else jar.delete(name)
  }
  return { status: answer.statusCode, location: answer.headers.location, body: await answer.body.text() }
}

async function code(challenge) {
  let next = `/auth?${new URLSearchParams({
    client_id: CLIENT,
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: 'openid wallet:credit',
    resource: job.audience,
    acr_values: job.acr,
    max_age: '300',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    claims: JSON.stringify({ id_token: claims }),
  })}`
  for (let steps = 0; steps < 10; steps++) {
    const answer = await visit(next)
    if (!answer.location) throw new Error(`stuck with ${answer.status} at ${next.split('?')[0]}: ${answer.body}`)
    if (answer.location.startsWith(REDIRECT)) return new URL(answer.location).searchParams.get('code')
    next = answer.location
  }
  throw new Error('the login never ended')
}

const verifier = oauth.generateRandomCodeVerifier()
const answer = await visit('/token', {
  method: 'POST',
  headers: {
    authorization: `Basic ${btoa(`${CLIENT}:${secret}`)}`,
    'content-type': 'application/x-www-form-urlencoded',
  },
  body: new URLSearchParams({
    grant_type: 'authorization_code',
    code: await code(await oauth.calculatePKCECodeChallenge(verifier)),
    redirect_uri: REDIRECT,
    code_verifier: verifier,
  }).toString(),
})
const { id_token, access_token, error_description } = JSON.parse(answer.body)
if (!access_token) throw new Error(`no token: ${error_description}`)
const jwks = JSON.parse((await visit('/jwks')).body)
process.stdout.write(JSON.stringify({ id_token, access_token, jwks }))
server.close()
