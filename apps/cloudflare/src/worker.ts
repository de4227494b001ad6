/**
 * Postern as a Worker: four entry points for mail, one engine, one store.
 *
 *     connect()    raw TCP: `wrangler dev`, workerd on your own machine, inbound TCP if your account has it
 *     fetch()      /pipe: a WebSocket from `postern front`; http.ts has the other paths
 *     Postern      the `entrypoint` for other Workers, which give it a socket and the client's address
 *     email()      Email Routing
 *
 * A Cron Trigger calls `scheduled()` every hour for the upkeep of the bucket.
 */
import { WorkerEntrypoint } from 'cloudflare:workers'
import { accept, NOT_TOLD } from '@postern/runtime/cloudflare'
import { endpointOf, keepUp, log, type Peer, takeEmail } from '@postern/worker'
import type { Env } from './env.ts'
import { http } from './http.ts'
import { intakeOf } from './intake.ts'

/** The hour (UTC) of the daily sweep. */
const SWEEP_HOUR = 3

const worker: ExportedHandler<Env> = {
  // Returns the promise of the session, because the socket lives only until the handler ends.
  connect: (socket, env) => accept(intakeOf(env).server, socket),
  fetch: (request, env, context) => http.fetch(request, env, context),
  async email(message, env) {
    const { code, text } = await takeEmail(intakeOf(env).server, message)
    if (code < 400) return
    log('info', 'message refused', { from: message.from, to: message.to, code, reason: text })
    // For Email Routing, setReject means a permanent refusal, and an exception a temporary one.
    if (code < 500) throw new Error(`refused for now: ${code} ${text}`)
    message.setReject(text)
  },
  async scheduled({ scheduledTime }, env) {
    const { mail, settings } = intakeOf(env)
    const isSweepDue = new Date(scheduledTime).getUTCHours() === SWEEP_HOUR
    // The log has the reason. The error marks this event of the trigger as failed.
    if (!(await keepUp(mail, settings, isSweepDue)))
      throw new Error('the upkeep of the store failed in part; it is tried again in an hour')
  },
}

export default worker

/** The service binding: `{ "binding": "POSTERN", "service": "postern", "entrypoint": "Postern" }`. */
export class Postern extends WorkerEntrypoint<Env> {
  /** Serves a socket of another Worker. `peer` is the client, because the socket does not have its address. */
  async accept(socket: Socket, peer?: Peer): Promise<void> {
    await accept(intakeOf(this.env).server, socket, { remote: endpointOf(peer) })
  }

  /** Serves `env.POSTERN.connect(…)`. The client's address is unknown. */
  override async connect(socket: Socket): Promise<void> {
    await accept(intakeOf(this.env).server, socket)
  }
}

/** Serves connections whose TLS ends before the Worker. Use it for nothing else, because it treats every connection as secure. */
export class ImplicitTls extends WorkerEntrypoint<Env> {
  override async connect(socket: Socket): Promise<void> {
    await accept(intakeOf(this.env).server, socket, { tls: NOT_TOLD })
  }
}
