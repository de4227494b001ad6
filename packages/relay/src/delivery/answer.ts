/** What is said to all recipients of an attempt. */
export interface Answer {
  readonly isTemporary: boolean
  /** 0 if no server said it. */
  readonly code: number
  readonly enhancedCode: string
  readonly text: string
  /** '' if no server said it. */
  readonly host: string
}
