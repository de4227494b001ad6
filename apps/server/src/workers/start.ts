/**
 * `postern serve --workers N`: each worker is a thread that listens on the same addresses, and the system shares connections out
 * among them. The main thread takes in no mail: it looks after the workers, signals, certificates and the store's upkeep.
 */
import type { Endpoint } from '@postern/engine'
import type { Acceptor } from '@postern/runtime/node'
import type { Options } from '../config/options.ts'
import { canAuthenticate } from '../config/options/users.ts'
import type { Settings } from '../config/settings.ts'
import { Failure } from '../host/failure.ts'
import { runtimeName } from '../host/runtime.ts'
import { closeAll, listenAll } from '../serve/listening.ts'
import type { Service, Serving, ServingDeps } from '../serve/serve.ts'
import { makeServer } from '../serve/smtp-server.ts'
import { Crew } from './crew.ts'
import { sharedOutput } from './output.ts'
import { makeShared, sharedWords } from './shared.ts'

/** Serving by workers. @throws Failure where threads can't listen on one port. */
export function workersFor(settings: Settings): Serving {
  checkRuntime(settings)
  const output = sharedWords(1)
  const out = sharedOutput(1, output)
  return {
    logOutput: sharedOutput(2, output),
    logsLostStore: false,
    tell: (text) => out.write(text),
    start: (deps) => startWorkers(deps, output),
  }
}

function checkRuntime({ options, spelled }: Settings): void {
  const { Deno } = globalThis as { readonly Deno?: { readonly listenDatagram?: unknown } }
  // What the flag brings with it.
  if (runtimeName !== 'deno' || Deno?.listenDatagram !== undefined) return
  if (options.listen.every(({ path, pipePath }) => (path ?? pipePath) !== undefined)) return
  throw new Failure(`${spelled('workers')} ${options.workers}: Deno needs its flag --unstable-net to share a port`)
}

/** @param output What the threads share to write one after the other */
async function startWorkers(deps: ServingDeps, output: Int32Array<SharedArrayBuffer>): Promise<Service> {
  const { settings, tls, log, logins } = deps
  const { options } = settings
  const takesPipes = options.listen.some(({ pipePath }) => pipePath !== undefined)
  // Who takes in no pipes need not load what that takes.
  const tokens = takesPipes ? (await import('./tokens.ts')).tokenTable() : undefined
  const shared = makeShared({ ...options, keepsForSubmission: canAuthenticate(options) }, options.workers, {
    output,
    tokens,
  })
  await checkPlaces(deps)
  // What the engine refuses is said once, and before any thread begins.
  makeServer(settings, { ...deps, options, kept: () => {} })
  const plain = sendable(options)
  const crew = new Crew({
    shared,
    addressCount: options.listen.length,
    log,
    logins,
    start: (index) => ({ index, shared, flags: settings.flags, options: plain, tls: tls?.current.options }),
  })
  const places = await crew.start()
  return {
    bound: options.listen.map((given, i) => ({ given, at: places[i] as Endpoint })),
    get sessionCount() {
      return crew.sessionCount
    },
    broken: crew.broken,
    useTls: (certificates) => crew.useTls(certificates),
    end: (graceMs) => crew.stop(graceMs),
  }
}

/**
 * Listens as a server without workers does, and stops. Threads that share a port would share it with another server of the same user
 * as well, and nobody would notice. @throws Failure where an address can't be listened on
 */
async function checkPlaces({ settings, tls, journal }: ServingDeps): Promise<void> {
  const nobody: Acceptor = { accept: (duplex) => duplex.destroy() }
  await closeAll(await listenAll(nobody, settings, tls, journal))
}

/** What workers are told, and need not read again. */
function sendable(options: Options): Partial<Options> {
  const { handlers: _handlers, s3Credentials: _credentials, store, ...plain } = options
  return 'scheme' in store && 'url' in store ? { ...plain, store } : plain
}
