import { describe } from 'vitest'
import { testOutcomes } from '../../packages/runtime/test/program.ts'
import { blackBoxOutcomes } from './outcomes.ts'
import { COMMANDS } from '../../packages/runtime/test/commands.ts'
import { serveOn } from './served.ts'

await using target = await serveOn(COMMANDS.node)
const outcomes = await blackBoxOutcomes('postern serve', target)
describe('node', () => testOutcomes('black box', 'node', outcomes))
