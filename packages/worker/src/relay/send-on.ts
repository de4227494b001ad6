/** The option `sendOn` of a receiver. */
import type { SendOn } from '../receiver.ts'
import type { RelaySettingsInput } from './input.ts'
import { RelayPart } from './part.ts'
import type { RemoteQueue } from './rpc.ts'
import { isRelaySetting, readRelaySettings } from './settings.ts'

/** What is used of a `DurableObjectNamespace`. */
export interface QueueNamespace {
  getByName(name: string): unknown
}

export interface SendOnOptions<Env> {
  /** Returns the binding of the class that `relayObject` makes. Default: `env.RELAY`. */
  readonly object?: (env: Env) => QueueNamespace | undefined
  /** Settings in the code. The vars and secrets of the environment override them. */
  readonly settings?: RelaySettingsInput | ((env: Env) => RelaySettingsInput)
}

/** All mail of a Worker is in one queue. */
const OBJECT_NAME = 'queue'

/** Makes the option. The Worker must export the class that `relayObject(receiver)` makes. */
export function sendOn<Env extends object>(options: SendOnOptions<Env> = {}): SendOn<Env> {
  return {
    reads: isRelaySetting,
    open(env, deps) {
      const input = typeof options.settings === 'function' ? options.settings(env) : (options.settings ?? {})
      const settings = readRelaySettings(env, input, { ...deps.settings, hasUsers: deps.hasUsers })
      const found = options.object === undefined ? (env as { RELAY?: QueueNamespace }).RELAY : options.object(env)
      // Without this check, only the first message would show the mistake.
      if (typeof found?.getByName !== 'function') {
        const what = options.object === undefined ? 'the binding RELAY' : 'what the option `object` returns'
        throw new Error(`${what} is not a Durable Object, which has the queue of mail that is sent on`)
      }
      return new RelayPart(settings, deps, () => found.getByName(OBJECT_NAME) as RemoteQueue)
    },
  }
}
