/**
 * Postern as a Worker: four doors, one engine, one store.
 *
 *     connect()    raw TCP: `wrangler dev`, workerd on a machine of one's own, inbound TCP where an account has it
 *     fetch()      /pipe: a WebSocket from `postern front`; http.ts has the rest
 *     Postern      what another Worker binds to (`entrypoint`): hand it a socket, and say whose it is
 *     email()      Email Routing
 *
 * And `scheduled()`, which a Cron Trigger calls every hour, keeps the bucket in order.
 */
import { WorkerEntrypoint } from 'cloudflare:workers'
import { accept, NOT_TOLD } from '@postern/runtime/cloudflare'
import { takeEmail } from './email.ts'
import type { Env } from './env.ts'
import { http } from './http.ts'
import { intakeOf } from './intake.ts'
import { log } from './log.ts'
import { endpointOf, type Peer } from './peer.ts'
import { keepUp } from './upkeep.ts'

/** Of the day, by UTC: what never committed is looked for once a day. */
const SWEEP_HOUR = 3

const worker: ExportedHandler<Env> = {
  // The session is awaited: a socket lives as long as the handler that was given it.
  connect: (socket, env) => accept(intakeOf(env).server, socket),
  fetch: (request, env, context) => http.fetch(request, env, context),
  async email(message, env) {
    const { code, text } = await takeEmail(intakeOf(env).server, message)
    if (code < 400) return
    log('info', 'message refused', { from: message.from, to: message.to, code, reason: text })
    // Email Routing has one way to say "never", and takes an exception for "not now".
    if (code < 500) throw new Error(`refused for now: ${code} ${text}`)
    message.setReject(text)
  },
  async scheduled({ scheduledTime }, env) {
    const { mail, settings } = intakeOf(env)
    const isSweepDue = new Date(scheduledTime).getUTCHours() === SWEEP_HOUR
    // What went wrong is in the log; this shows it among the events of the trigger.
    if (!(await keepUp(mail, settings, isSweepDue)))
      throw new Error('the upkeep of the store failed in part; it is tried again in an hour')
  },
}

export default worker

/** The service binding: `{ "binding": "POSTERN", "service": "postern", "entrypoint": "Postern" }`. */
export class Postern extends WorkerEntrypoint<Env> {
  /** Serves a socket that another Worker was given. `peer` is who connected there, which the socket no longer knows. */
  async accept(socket: Socket, peer?: Peer): Promise<void> {
    await accept(intakeOf(this.env).server, socket, { remote: endpointOf(peer) })
  }

  /** `env.POSTERN.connect(…)`: nobody knows who connected. */
  override async connect(socket: Socket): Promise<void> {
    await accept(intakeOf(this.env).server, socket)
  }
}

/** Connections whose TLS ends before the Worker. Give it to nothing else: it believes that they are secure. */
export class ImplicitTls extends WorkerEntrypoint<Env> {
  override async connect(socket: Socket): Promise<void> {
    await accept(intakeOf(this.env).server, socket, { tls: NOT_TOLD })
  }
}
