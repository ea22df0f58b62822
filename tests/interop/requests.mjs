// Reads one job a line from standard input and answers each with one line; ends when the input ends.
//
// A job says where the issuer really listens (and, in `hosts`, who else) and which certificate to show. Names stay as
// configured: the connection is made to another address, as a hosts file would do it.
import { createInterface } from 'node:readline'
import { Agent, buildConnector, fetch } from 'undici'

const WITHIN_MS = 20_000

export function network({ port, ca, cert, key }, hosts = {}) {
  const connect = buildConnector({ ca, cert, key, timeout: WITHIN_MS })
  const agent = new Agent({
    connect: (options, done) =>
      connect(
        { ...options, hostname: '127.0.0.1', port: hosts[options.hostname] ?? port, servername: options.hostname },
        done,
      ),
  })
  const seen = []
  let last
  return {
    seen,
    async fetch(url, options) {
      last = [url, options]
      const response = await fetch(url, { ...options, dispatcher: agent, signal: AbortSignal.timeout(WITHIN_MS) })
      seen.push({ path: new URL(url).pathname, status: response.status })
      return response
    },
    // The last request once more, byte for byte: what somebody does who recorded it.
    again() {
      return this.fetch(...last)
    },
    close: () => agent.close(),
  }
}

// Calls a resource, and then sends the last of these requests again.
export async function called(job, net, call) {
  const answers = []
  for (let count = 0; count < (job.count ?? 1); count++) answers.push((await call()).status)
  const again = await net.again()
  return { answers, again: { status: again.status, challenge: again.headers.get('www-authenticate') } }
}

export async function serve(flows) {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await answer(flows, JSON.parse(line))) + '\n')
  }
}

async function answer(flows, job) {
  const net = network(job.tls, job.hosts)
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
