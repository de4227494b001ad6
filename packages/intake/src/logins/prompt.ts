/** `@postern/intake/prompt-logins`: logins that are tried or refused at once, for runtimes without threads. */
export type { AuthenticatorDeps } from './authenticator.ts'
export { authenticator } from './authenticator.ts'
export type { PromptLoginsOptions } from './prompt-logins.ts'
export { PromptLogins } from './prompt-logins.ts'
