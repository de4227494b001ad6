/** `postern serve`: receives mail, in this thread or in workers. */
import { checkTogether } from '../../config/combinations.ts'
import type { Settings } from '../../config/settings.ts'
import { ALONE, serve } from '../../serve/serve.ts'

/** Serves until a signal stops it. @returns the exit code. @throws Failure if it can't start */
export async function runServe(settings: Settings): Promise<number> {
  checkTogether(settings)
  const serving = settings.options.workers > 1 ? (await import('../../workers/start.ts')).workersFor(settings) : ALONE
  return serve(settings, serving)
}
