/** The contract of queues inside each runtime. */
import { resolve } from 'node:path'
import { queueRows } from '../../../test/contracts/queue/queue.ts'
import { testProgram } from '../../runtime/test/program.ts'

testProgram('queue', queueRows(), resolve(import.meta.dirname, 'contract-program.ts'))
