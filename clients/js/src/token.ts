/** Bearer tokens, and their renewal. */

import { BusyError, HttpError } from "./errors.js";
import { request } from "./request.js";

/** A bearer token, or a function that returns the one that is valid now. */
export type Token = string | (() => string);

export const currentToken = (token: Token): string => (typeof token === "function" ? token() : token);

/** Pause before another attempt to renew, where the server was not reached or had no time. */
const RETRY_MS = 5_000;

const MAX_TIMER_MS = 2 ** 31 - 1; // HTML timers hold a signed 32-bit integer

/**
 * A token that is renewed at half of its lifetime while its session lives. Once the server refuses to renew it, it
 * stays as it is.
 */
export class RenewedToken {
  #token: string;
  #over = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `url`: the session's `tokens` route. `right`: of the token, as the server names it. */
  constructor(
    token: string,
    private readonly right: "own" | "publish" | "view",
    private readonly url: () => string | URL,
    private readonly fetching: typeof fetch,
    private readonly renewed: (token: string) => void = () => undefined,
  ) {
    this.#token = token;
  }

  /** The newest token. */
  get current(): string {
    return this.#token;
  }

  get isRenewed(): boolean {
    return this.#timer !== undefined;
  }

  /** Renews it after `ms` milliseconds, and from then on at half of each lifetime. */
  renewAfter(ms: number): void {
    if (this.#over) return;
    this.#timer = setTimeout(() => void this.#renew(), Math.min(ms, MAX_TIMER_MS));
    (this.#timer as { unref?: () => void }).unref?.();
  }

  /** Ends the renewing. */
  stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  async #renew(): Promise<void> {
    try {
      const headers = { Authorization: `Bearer ${this.#token}`, "Content-Type": "application/json" };
      const body = JSON.stringify({ right: this.right });
      const response = await request(this.fetching, this.url(), { method: "POST", headers, body });
      const { token, expires_in: seconds } = (await response.json()) as { token: string; expires_in: number };
      this.#token = token;
      this.renewAfter(500 * seconds);
      if (!this.#over) this.renewed(token);
    } catch (error) {
      const isRefused = error instanceof HttpError && !(error instanceof BusyError) && error.status < 500;
      if (!isRefused) this.renewAfter(RETRY_MS); // refused: the session has ended, or the token is no longer good
    }
  }
}
