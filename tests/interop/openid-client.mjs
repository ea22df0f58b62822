// openid-client as its documentation uses it: discovery and a configuration, then one call for each grant.
import * as jose from 'jose'
import * as client from 'openid-client'
import { called, serve } from './requests.mjs'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

async function configured(job, net) {
  const options = { algorithm: 'oauth2', [client.customFetch]: net.fetch }
  return client.discovery(new URL(job.issuer), job.client_id, undefined, await authentication(job), options)
}

async function authentication(job) {
  if (job.authentication !== 'private_key_jwt') return client.TlsClientAuth()
  const key = await jose.importJWK(job.jwk, job.jwk.alg)
  return client.PrivateKeyJwt({ key, kid: job.jwk.kid })
}

async function prover(job, config) {
  const keys = await client.randomDPoPKeyPair(job.dpop, { extractable: true })
  return { keys, DPoP: client.getDPoPHandle(config, keys) }
}

async function tokens(job, net, grant) {
  const config = await configured(job, net)
  if (!job.dpop) return { tokens: await repeated(job, () => grant(config, {})) }
  const { keys, DPoP } = await prover(job, config)
  const jkt = await jose.calculateJwkThumbprint(await jose.exportJWK(keys.publicKey))
  return { tokens: await repeated(job, () => grant(config, { DPoP })), jkt }
}

async function repeated(job, ask) {
  const answers = []
  for (let count = 0; count < (job.count ?? 1); count++) answers.push(await ask())
  return answers
}

await serve({
  discovery: async (job, net) => (await configured(job, net)).serverMetadata(),

  client_credentials: (job, net) =>
    tokens(job, net, (config, { DPoP }) => client.clientCredentialsGrant(config, job.parameters, { DPoP })),

  token_exchange: (job, net) =>
    tokens(job, net, (config, { DPoP }) => client.genericGrantRequest(config, EXCHANGE, job.parameters, { DPoP })),

  async resource(job, net) {
    const config = await configured(job, net)
    const { DPoP } = await prover(job, config)
    const { access_token } = await client.clientCredentialsGrant(config, job.parameters, { DPoP })
    const url = new URL(job.url)
    return called(job, net, () =>
      client.fetchProtectedResource(config, access_token, url, job.method, undefined, undefined, { DPoP }),
    )
  },

  introspection: async (job, net) => client.tokenIntrospection(await configured(job, net), job.token),
})
