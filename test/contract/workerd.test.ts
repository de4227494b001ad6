import { describe } from 'vitest'
import { testOutcomes } from '../../packages/runtime/test/program.ts'
import { blackBoxOutcomes } from './outcomes.ts'
import { workerdTarget } from './worker.ts'

await using target = await workerdTarget()
const outcomes = await blackBoxOutcomes('the Worker', target)
describe('workerd', () => testOutcomes('black box', 'workerd', outcomes))
