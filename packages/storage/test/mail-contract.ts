/** Short cuts for tests that look at kept mail. */
export { allPages, bound, idsOf } from './contract/mailing.ts'
