/** `postern hash`: makes the hash of a password for `users`. */
import { hashPassword } from '@postern/intake/accounts'
import { print } from '../../../host/output.ts'
import { readNewPassword } from '../../reading/new-password.ts'

export async function hash(): Promise<void> {
  await print(`${await hashPassword(await readNewPassword('hash'))}\n`)
}
