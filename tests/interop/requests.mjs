// Reads one job a line from standard input and answers each with one line; ends when the input ends.
//
// A job says where the issuer really listens and which certificate to show. Names stay as configured: the connection is
// made to another address, as a hosts file would do it.
import { createInterface } from 'node:readline'
import { Agent, buildConnector, fetch } from 'undici'

const WITHIN_MS = 20_000

export function network({ port, ca, cert, key }) {
  const connect = buildConnector({ ca, cert, key, timeout: WITHIN_MS })
  const agent = new Agent({
    connect: (options, done) =>
      connect({ ...options, hostname: '127.0.0.1', port, servername: options.hostname }, done),
  })
  const seen = []
  return {
    seen,
    async fetch(url, options) {
      const response = await fetch(url, { ...options, dispatcher: agent, signal: AbortSignal.timeout(WITHIN_MS) })
      seen.push({ path: new URL(url).pathname, status: response.status })
      return response
    },
    close: () => agent.close(),
  }
}

export async function serve(flows) {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await answer(flows, JSON.parse(line))) + '\n')
  }
}

async function answer(flows, job) {
  const net = network(job.tls)
  try {
    return { result: await flows[job.flow](job, net), seen: net.seen }
  } catch (error) {
    const { name, code, message } = error
    const body = error.error ?? error.cause?.error
    return { error: { name, code, message, oauth: body, status: error.status }, seen: net.seen }
  } finally {
    await net.close()
  }
}
