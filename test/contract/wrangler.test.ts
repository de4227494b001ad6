import { describe } from 'vitest'
import { testOutcomes } from '../../packages/runtime/test/program.ts'
import { blackBoxOutcomes } from './outcomes.ts'
import { wranglerTarget } from './worker.ts'

await using target = await wranglerTarget()
const outcomes = await blackBoxOutcomes('the Worker', target)
describe('wrangler dev', () => testOutcomes('black box', 'wrangler dev', outcomes))
