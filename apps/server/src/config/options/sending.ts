/** The server that `postern send` and `postern sendmail` hand mail to. */
import { parseServerUrl } from '@postern/engine/client'
import { parsedText } from '../values/schema.ts'
import type { Option } from './row.ts'

export interface SendingRows {
  /**
   * The server that `postern send` and `postern sendmail` hand mail to, with its user and password if it needs them:
   * `smtp://127.0.0.1:2525`, `smtp+starttls://user:password@mx.example.com`, `smtps://mx.example.com`, `lmtp+unix:/run/lmtp`.
   */
  readonly submitTo: Option<string, string>
}

const SERVER_ALLOWED =
  'a URL such as smtp://127.0.0.1:2525, smtp+starttls://user:password@mx.example.com, smtps://mx.example.com or lmtp+unix:/run/lmtp'

export const sendingRows: SendingRows = {
  submitTo: {
    schema: parsedText((url) => (isServerUrl(url) ? url : undefined), SERVER_ALLOWED),
    byDefault: 'smtp://127.0.0.1:2525',
    help: 'the server to hand mail to: smtp://, smtp+starttls://, smtps://, lmtp://, lmtp+unix:; with user:password@ if it needs them',
    group: 'Where:',
    value: 'url',
    secret: true,
    commands: ['send'],
  },
}

function isServerUrl(url: string): boolean {
  try {
    return parseServerUrl(url) !== undefined
  } catch {
    return false
  }
}
