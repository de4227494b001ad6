/**
 * The table of all options: name, allowed values, default and meaning of each.
 *
 * The types of the config file, flags, environment variables, their validation, the help and the tables of docs/configuration.md are
 * all derived from it. Each subject has a file in options/, with its rows and the combinations that it refuses.
 */
import { type ContentRows, contentRows } from './options/contents.ts'
import { type DnsRows, dnsRows } from './options/dns.ts'
import { type FrontRows, frontRows } from './options/front.ts'
import { type LimitRows, limitRows } from './options/limits.ts'
import { type LogRows, logRows } from './options/logs.ts'
import type { CommandName, Option, ValuesOf } from './options/row.ts'
import { type PolicyRows, policyRows } from './options/policy.ts'
import { type ProcessRows, processRows } from './options/process.ts'
import { type RetentionRows, retentionRows } from './options/retention.ts'
import { type RelayRows, relayRows } from './options/relay.ts'
import { type RuleRows, ruleRows } from './options/rules.ts'
import { type SendingRows, sendingRows } from './options/sending.ts'
import { type SigningRows, signingRows } from './options/signing.ts'
import { type TlsRows, tlsRows } from './options/tls.ts'
import { type UserRows, userRows } from './options/users.ts'
import { type VerificationRows, verificationRows } from './options/verification.ts'
import { type WhereRows, whereRows } from './options/where.ts'

/** The rows of all subjects. */
export interface OptionRows
  extends
    WhereRows,
    FrontRows,
    ProcessRows,
    RetentionRows,
    ContentRows,
    PolicyRows,
    RuleRows,
    DnsRows,
    VerificationRows,
    SigningRows,
    TlsRows,
    UserRows,
    SendingRows,
    RelayRows,
    LogRows,
    LimitRows {}

/** Every option with the value that the server uses. */
export type Options = ValuesOf<OptionRows>

/** The name of an option, as the config file writes it. */
export type OptionName = keyof OptionRows

/** Every option, in the order of the help. */
export const OPTIONS: OptionRows = {
  ...whereRows,
  ...frontRows,
  ...processRows,
  ...retentionRows,
  ...contentRows,
  ...policyRows,
  ...ruleRows,
  ...dnsRows,
  ...verificationRows,
  ...signingRows,
  ...tlsRows,
  ...userRows,
  ...sendingRows,
  ...relayRows,
  ...logRows,
  ...limitRows,
}

/** Every name in the table. */
export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[]

/** Returns the options of a command. */
export function optionsOf(command: CommandName): readonly OptionName[] {
  return OPTION_NAMES.filter((name) => {
    const { commands = ['serve'] }: Option = OPTIONS[name]
    return commands.includes(command)
  })
}
