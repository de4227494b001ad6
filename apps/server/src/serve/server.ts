/** The server that the settings ask for. */
import { createServer, OptionError, type Places, type Server } from '@postern/engine'
import { EXIT, Failure } from '../host/failure.ts'
import { intake, type IntakeParts } from './intake.ts'
import type { OptionName } from '../config/options/options.ts'
import type { Settings } from '../config/settings.ts'

/**
 * The engine has the last word on some options; what it says is said of the name that the user wrote.
 *
 * @param places Who gives out places for connections. Default: the server, by its limits.
 * @throws Failure
 */
export function makeServer(settings: Settings, parts: IntakeParts, places?: Places): Server {
  try {
    return createServer({ ...intake(parts), ...(places === undefined ? {} : { places }) })
  } catch (error) {
    if (!(error instanceof OptionError)) throw error
    const field = error.field === 'auth.mechanisms' ? 'authMechanisms' : error.field.replace(/^limits\./, '')
    throw new Failure(
      `${settings.spelled(field as OptionName)}${error.message.slice(error.field.length)}`,
      EXIT.misused,
      { cause: error },
    )
  }
}
