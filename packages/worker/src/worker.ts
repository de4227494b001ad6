/**
 * The handlers of a Worker, each made from a receiver. `createWorker` makes all of them.
 *
 *     connect()     raw TCP: `wrangler dev`, and workerd on your own machine
 *     email()       Email Routing
 *     fetch()       http.ts: a WebSocket from `postern front`, and the stored mail
 *     scheduled()   a Cron Trigger, every hour: the upkeep of the store
 */
import { accept } from '@postern/runtime/cloudflare'
import { takeEmail, type RoutedEmail } from './email.ts'
import { type FetchContext, fetchHandler } from './http.ts'
import { log } from './log.ts'
import { createReceiver, type Receiver, type ReceiverOptions } from './receiver.ts'
import { keepUp } from './upkeep.ts'

/** A socket as workerd gives it to `connect`. */
export interface ConnectedSocket {
  readonly readable: object
  readonly writable: object
  readonly opened: Promise<object>
  readonly closed: Promise<void>
}

/** The parts of a `ForwardableEmailMessage` that are used here. */
export interface RefusableEmail extends RoutedEmail {
  setReject(reason: string): void
}

/** The parts of a `ScheduledController` that are used here. */
export interface ScheduledEvent {
  readonly scheduledTime: number
}

export type ConnectHandler<Env> = (socket: ConnectedSocket, env: Env) => Promise<void>
export type EmailHandler<Env> = (message: RefusableEmail, env: Env) => Promise<void>
export type FetchHandler<Env> = (request: Request, env: Env, context: FetchContext) => Promise<Response>
export type ScheduledHandler<Env> = (event: ScheduledEvent, env: Env) => Promise<void>

/** The default export of a Worker. */
export interface Worker<Env> {
  readonly connect: ConnectHandler<Env>
  readonly email: EmailHandler<Env>
  readonly fetch: FetchHandler<Env>
  readonly scheduled: ScheduledHandler<Env>
}

/** The hour (UTC) of the daily sweep. */
const SWEEP_HOUR = 3

/** Makes the default export of a Worker. Give a receiver if the Worker has other exports that need the same. */
export function createWorker<Env extends object>(given: Receiver<Env> | ReceiverOptions<Env> = {}): Worker<Env> {
  const receiver = 'open' in given ? given : createReceiver(given)
  return {
    connect: connectHandler(receiver),
    email: emailHandler(receiver),
    fetch: fetchHandler(receiver),
    scheduled: scheduledHandler(receiver),
  }
}

/** Makes the `connect` handler. It ends with the session, because the socket lives only until the handler ends. */
export function connectHandler<Env extends object>(receiver: Receiver<Env>): ConnectHandler<Env> {
  return async (socket, env) => {
    const { overrides, server } = receiver.open(env)
    await accept(server, socket as Parameters<typeof accept>[1], { overrides })
  }
}

/** Makes the `email` handler. */
export function emailHandler<Env extends object>(receiver: Receiver<Env>): EmailHandler<Env> {
  return async (message, env) => {
    const { code, text } = await takeEmail(receiver.open(env).server, message)
    if (code < 400) return
    log('info', 'message refused', { from: message.from, to: message.to, code, reason: text })
    // For Email Routing, setReject means a permanent refusal, and an exception a temporary one.
    if (code < 500) throw new Error(`refused for now: ${code} ${text}`)
    message.setReject(text)
  }
}

/** Makes the `scheduled` handler. A Cron Trigger should call it every hour. */
export function scheduledHandler<Env extends object>(receiver: Receiver<Env>): ScheduledHandler<Env> {
  return async ({ scheduledTime }, env) => {
    const isSweepDue = new Date(scheduledTime).getUTCHours() === SWEEP_HOUR
    // The log has the reason. The error marks this event of the trigger as failed.
    if (!(await keepUp(receiver.open(env), isSweepDue)))
      throw new Error('the upkeep of the store failed in part; it is tried again in an hour')
  }
}
