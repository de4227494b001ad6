/**
 * `@postern/server/config`: the types of `postern.config.ts`.
 *
 * The same names are flags (`--max-message-bytes`) and environment variables (`POSTERN_MAX_MESSAGE_BYTES`). A flag
 * overrides the environment, which overrides the file. This module imports nothing at run time.
 */
import type { ConfigContext } from './file/context.ts'
import type { LimitRows } from './options/limits.ts'
import type { GivenOf } from './options/row.ts'
import type { OptionRows } from './options.ts'

export type { Guard } from '@postern/intake'
export type { RuleAction, RuleData } from '@postern/intake/directory'
export type { ConfigContext } from './file/context.ts'
export type { ConfigHandlers } from './options/hooks.ts'
export type { LogLevel } from './options/logs.ts'
export type { HostCertificate } from './options/tls.ts'
export type { AuthMechanism } from './options/users.ts'

/** Every option of `postern serve` and `postern front`. All are optional. */
export interface Config extends GivenOf<OptionRows> {}

/** Every limit of the engine by its own name. */
export type LimitConfig = GivenOf<LimitRows>

/** A config file that is handed what it needs: `export default (({ reply }) => ({ … })) satisfies ConfigFunction`. */
export type ConfigFunction = (context: ConfigContext) => Config | Promise<Config>

/** Gives `postern.config.ts` its types: `export default defineConfig({ … })`, or `defineConfig(({ reply }) => ({ … }))`. */
export function defineConfig<Given extends Config | ConfigFunction>(config: Given): Given {
  return config
}
