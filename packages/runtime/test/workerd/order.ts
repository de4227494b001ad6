/** The order for a connection into the contract's Worker. */

/** The kinds of the Worker's TCP socket and of its dialling. */
export type TcpMode = 'clear' | 'starttls' | 'implicit TLS'

export interface Order {
  readonly id: string
  /** Both ends become TLS before the check begins. */
  readonly isUpgraded: boolean
  readonly check: string
  /** True if the check uses the dialled end. Otherwise it uses the accepted one. */
  readonly isSwapped: boolean
}

/** An order is padded with blanks to this length, so that the reader knows where it ends. */
export const ORDER_BYTES = 512
