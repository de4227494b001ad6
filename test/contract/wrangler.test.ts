import { testTarget } from './outcomes.ts'
import { WRANGLER_GAPS, wranglerTarget } from './worker.ts'

testTarget({ runtime: 'wrangler dev', subject: 'the Worker', gaps: WRANGLER_GAPS, start: wranglerTarget })
