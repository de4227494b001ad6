/** The tables of a queue. */

/**
 * The statements that make each version of the one before it. A version that has been published is never changed.
 *
 * Recipients are a column of JSON, because only settlements change them, and a row for each would be most of the work of an ordinary entry.
 * The states are those of `STATES` in rows.ts. A claim reads `delivery_due` alone: there are only deliveries whose time has come. A
 * delivery that waits is in `delivery_waiting`, from which claims move those that have become due.
 */
export const VERSIONS: readonly string[] = [
  `
  CREATE TABLE entry (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    message_id TEXT NOT NULL,
    queued_at INTEGER NOT NULL,
    hold_until INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    envelope TEXT NOT NULL
  ) STRICT;
  CREATE INDEX entry_message ON entry (message_id);
  CREATE INDEX entry_finished ON entry (seq) WHERE pending = 0;
  CREATE TABLE delivery (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    entry INTEGER NOT NULL,
    destination TEXT NOT NULL,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    recipients TEXT NOT NULL
  ) STRICT;
  CREATE INDEX delivery_entry ON delivery (entry);
  CREATE INDEX delivery_waiting ON delivery (due_at) WHERE state = 0;
  CREATE INDEX delivery_due ON delivery (priority DESC, destination, due_at) WHERE state = 1;
  CREATE INDEX delivery_held ON delivery (entry) WHERE state = 2;
  CREATE INDEX delivery_destination ON delivery (destination, entry, state);
  `,
]

/** The newest version that this program knows. */
export const SCHEMA_VERSION: number = VERSIONS.length
