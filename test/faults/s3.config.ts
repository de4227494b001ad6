/** Mail in an S3 bucket, with deadlines that are short enough for a test. */
import process from 'node:process'
import { type Config, defineConfig } from '@postern/server/config'
import { s3, type S3Options } from '@postern/storage/s3'

const config: Config = defineConfig({ store: s3(JSON.parse(process.env['TEST_S3'] ?? '{}') as S3Options) })

export default config
