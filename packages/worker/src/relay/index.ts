/**
 * `@postern/worker/relay`: sends mail on to a smarthost, from a queue in a Durable Object.
 *
 *     const receiver = createReceiver({ sendOn: sendOn() })
 *     export default createWorker(receiver)
 *     export const MailQueue = relayObject(receiver)
 */
export type { DkimKeyInput, RelaySettingsInput } from './input.ts'
export type { RelayObjectClass } from './object.ts'
export { relayObject } from './object.ts'
export type { ChosenEntries, QueueAction, RemoteQueue } from './rpc.ts'
export type { QueueNamespace, SendOnOptions } from './send-on.ts'
export { sendOn } from './send-on.ts'
