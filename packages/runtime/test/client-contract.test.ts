/** The contract of the client, run inside each server runtime. */
import { resolve } from 'node:path'
import { clientRows } from '../../../test/contracts/client/client.ts'
import { testProgram } from './program.ts'

testProgram('client', clientRows, resolve(import.meta.dirname, 'client-program.ts'))
