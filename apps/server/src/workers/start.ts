/**
 * `postern serve --workers N`: each worker is a thread that listens on the same addresses, and the operating system distributes
 * connections among them. The main thread receives no mail. It handles workers, signals, certificates and the upkeep of the store.
 */
import type { Endpoint } from '@postern/engine'
import type { Acceptor } from '@postern/runtime/node'
import type { Options } from '../config/options.ts'
import { canAuthenticate } from '../config/options/users.ts'
import type { Settings } from '../config/settings.ts'
import { isUrl } from '../config/urls/store-url.ts'
import { Failure } from '../host/failure.ts'
import { runtimeName } from '../host/runtime.ts'
import { closeAll, listenAll } from '../serve/listening.ts'
import type { Service, Serving, ServingDeps } from '../serve/serve.ts'
import { makeServer } from '../serve/smtp-server.ts'
import { Crew } from './crew.ts'
import { sharedOutput } from './output.ts'
import { makeShared, sharedWords } from './shared.ts'

/**
 * Makes the serving with workers.
 * @throws Failure if threads cannot share a port
 */
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
  // Deno has this function only with the flag.
  if (runtimeName !== 'deno' || Deno?.listenDatagram !== undefined) return
  if (options.listen.every(({ path, pipePath }) => (path ?? pipePath) !== undefined)) return
  throw new Failure(`${spelled('workers')} ${options.workers}: Deno needs its flag --unstable-net to share a port`)
}

/** Starts the workers. @param output The lock of the outputs, which the threads share */
async function startWorkers(deps: ServingDeps, output: Int32Array<SharedArrayBuffer>): Promise<Service> {
  const { settings, tls, log, logins, onward } = deps
  const { options } = settings
  const takesPipes = options.listen.some(({ pipePath }) => pipePath !== undefined)
  // Loaded only if an address is for fronts.
  const tokens = takesPipes ? (await import('./tokens.ts')).tokenTable() : undefined
  const shared = makeShared({ ...options, keepsForSubmission: canAuthenticate(options) }, options.workers, {
    output,
    tokens,
  })
  await checkPlaces(deps)
  // If the engine refuses an option, this reports it once, before any thread starts.
  makeServer(settings, { ...deps, options, kept: () => {} })
  const plain = sendable(options)
  const crew = new Crew({
    shared,
    addressCount: options.listen.length,
    log,
    logins,
    added: () => onward?.added(),
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
 * Listens as a server without workers does, and stops. Without this check nobody would notice that another server of
 * the same user listens on the port, because threads that share a port share it with that server too. @throws Failure
 * if it can't listen on an address
 */
async function checkPlaces({ settings, tls, journal }: ServingDeps): Promise<void> {
  const nobody: Acceptor = { accept: (duplex) => duplex.destroy() }
  await closeAll(await listenAll(nobody, settings, tls, journal))
}

/** Returns the options that can be sent to a worker. */
function sendable(options: Options): Partial<Options> {
  const {
    accounts,
    handlers: _handlers,
    guards: _guards,
    rules: _rules,
    s3Credentials: _credentials,
    store,
    ...plain
  } = options
  return {
    ...plain,
    ...(isUrl(store) && { store }),
    ...(typeof accounts === 'string' && { accounts }),
  }
}
