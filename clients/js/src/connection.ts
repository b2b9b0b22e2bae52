/** States of a stream's connection. Types alone, so that the stream and its transport can share them. */

import type { MyTalkError } from "./errors.js";

export type Connection = "open" | "resuming" | "closed";

/** Why a stream is over. `error`: it was not meant to be. */
export interface Closed {
  reason: string;
  error?: MyTalkError;
}
