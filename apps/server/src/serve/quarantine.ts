/** The store of `--verify quarantine`. */
import type { Settings } from '../config/settings.ts'

/** Returns settings whose store is that of the quarantine. */
export function quarantineOf(settings: Settings): Settings {
  const { options } = settings
  return {
    ...settings,
    options: { ...options, store: options.quarantine ?? options.store },
    spelled: (name) => settings.spelled(name === 'store' ? 'quarantine' : name),
  }
}
