/** Asks a busy server again, when it said to. */

import { BusyError } from "./errors.js";
import { sleep } from "./promises.js";

/** Called before each wait: the server's refusal, and the milliseconds until it is asked again. */
export type OnBusy = (refusal: BusyError, waitMs: number) => void;

const MIN_PAUSE_MS = 200; // whatever the server says

/**
 * Runs `work`, and again after the `Retry-After` of a `BusyError`, for at most `patienceMs` milliseconds. Throws what
 * `work` throws last, what `onBusy` throws, or the signal's reason.
 */
export async function whileBusy<T>(
  work: () => Promise<T>,
  patienceMs: number,
  { signal, onBusy }: { signal?: AbortSignal | undefined; onBusy?: OnBusy | undefined } = {},
): Promise<T> {
  const until = performance.now() + patienceMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof BusyError) || error.retryAfter === undefined) throw error;
      const waitMs = Math.max(1000 * error.retryAfter, MIN_PAUSE_MS);
      if (performance.now() + waitMs > until) throw error;
      onBusy?.(error, waitMs);
      await sleep(waitMs, signal);
    }
  }
}
