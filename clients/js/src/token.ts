/** What the server knows a program by, and how that is kept good. */

import { BusyError, HttpError } from "./errors.js";

/** A bearer token, or what gives the one that is good now. */
export type Token = string | (() => string);

export const tokenNow = (token: Token): string => (typeof token === "function" ? token() : token);

/** A token is asked for again after so long, where the server was not reached. */
const AGAIN_MS = 5_000;

const MOST_MS = 2 ** 31 - 1; // of a timer

/**
 * A token that is renewed at half of its life. It gives another like itself for as long as its session lives; once the
 * server refuses that, it stays as it is.
 */
export class LastingToken {
  #token: string;
  #over = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `url`: the session's `tokens` route. `right`: what the token gives. */
  constructor(
    token: string,
    private readonly right: "own" | "publish" | "view",
    private readonly url: () => string | URL,
    private readonly fetching: typeof fetch,
    private readonly renewed: (token: string) => void = () => undefined,
  ) {
    this.#token = token;
  }

  /** The newest. */
  get now(): string {
    return this.#token;
  }

  get isRenewed(): boolean {
    return this.#timer !== undefined;
  }

  /** Renews it after so many milliseconds, and from then on in time. */
  renewAfter(ms: number): void {
    if (this.#over) return;
    this.#timer = setTimeout(() => void this.#renew(), Math.min(ms, MOST_MS));
    (this.#timer as { unref?: () => void }).unref?.();
  }

  /** Nobody needs it any longer. */
  stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  async #renew(): Promise<void> {
    try {
      const headers = { Authorization: `Bearer ${this.#token}`, "Content-Type": "application/json" };
      const body = JSON.stringify({ right: this.right });
      const response = await this.fetching(this.url(), { method: "POST", headers, body });
      if (!response.ok) throw await HttpError.from(response);
      const { token, expires_in: seconds } = (await response.json()) as { token: string; expires_in: number };
      this.#token = token;
      this.renewAfter(500 * seconds);
      if (!this.#over) this.renewed(token);
    } catch (error) {
      const isRefused = error instanceof HttpError && !(error instanceof BusyError) && error.status < 500;
      if (!isRefused) this.renewAfter(AGAIN_MS); // refused: the session has ended, or the token is no longer good
    }
  }
}
