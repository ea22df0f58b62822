// oauth4webapi as its documentation uses it: every answer of the issuer goes through the library's own checks.
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import { called, serve } from './requests.mjs'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

async function discovered(job, net) {
  const issuer = new URL(job.issuer)
  const options = { algorithm: 'oauth2', [oauth.customFetch]: net.fetch }
  return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options))
}

async function authentication(job) {
  if (job.authentication !== 'private_key_jwt') return oauth.TlsClientAuth()
  const key = await jose.importJWK(job.jwk, job.jwk.alg)
  return oauth.PrivateKeyJwt({ key, kid: job.jwk.kid })
}

async function prover(job, client) {
  if (!job.dpop) return {}
  const keys = await oauth.generateKeyPair(job.dpop, { extractable: true })
  return { DPoP: oauth.DPoP(client, keys), jwk: await jose.exportJWK(keys.publicKey) }
}

function retried(ask) {
  return ask().catch((error) => {
    if (!oauth.isDPoPNonceError(error)) throw error
    return ask()
  })
}

async function tokenRequest(job, net, request, process) {
  const as = await discovered(job, net)
  const client = { client_id: job.client_id }
  const { DPoP, jwk } = await prover(job, client)
  const ask = async () =>
    process(as, client, await request(as, client, await authentication(job), { DPoP, [oauth.customFetch]: net.fetch }))
  const tokens = []
  for (let count = 0; count < (job.count ?? 1); count++) tokens.push(await retried(ask))
  return { tokens, jkt: jwk && (await jose.calculateJwkThumbprint(jwk)) }
}

await serve({
  discovery: discovered,

  client_credentials: (job, net) =>
    tokenRequest(
      job,
      net,
      (as, client, auth, options) =>
        oauth.clientCredentialsGrantRequest(as, client, auth, new URLSearchParams(job.parameters), options),
      oauth.processClientCredentialsResponse,
    ),

  token_exchange: (job, net) =>
    tokenRequest(
      job,
      net,
      (as, client, auth, options) =>
        oauth.genericTokenEndpointRequest(as, client, auth, EXCHANGE, new URLSearchParams(job.parameters), options),
      (as, client, response) =>
        oauth.processGenericTokenEndpointResponse(as, client, response, { recognizedTokenTypes: { n_a: () => {} } }),
    ),

  async resource(job, net) {
    const as = await discovered(job, net)
    const client = { client_id: job.client_id }
    const { DPoP } = await prover(job, client)
    const options = { DPoP, [oauth.customFetch]: net.fetch }
    const authenticated = await authentication(job)
    const parameters = new URLSearchParams(job.parameters)
    const { access_token } = await retried(async () =>
      oauth.processClientCredentialsResponse(
        as,
        client,
        await oauth.clientCredentialsGrantRequest(as, client, authenticated, parameters, options),
      ),
    )
    const call = () =>
      oauth.protectedResourceRequest(access_token, job.method, new URL(job.url), undefined, undefined, options)
    return called(job, net, () => retried(call))
  },

  async introspection(job, net) {
    const as = await discovered(job, net)
    const client = { client_id: job.client_id }
    const options = { [oauth.customFetch]: net.fetch }
    const response = await oauth.introspectionRequest(as, client, await authentication(job), job.token, options)
    return oauth.processIntrospectionResponse(as, client, response)
  },

  async verification(job, net) {
    const as = await discovered(job, net)
    const jwks = await (await net.fetch(as.jwks_uri, {})).json()
    const options = { issuer: job.issuer, audience: job.audience, typ: job.typ }
    const { payload, protectedHeader } = await jose.jwtVerify(job.token, jose.createLocalJWKSet(jwks), options)
    return { payload, protectedHeader }
  },
})
