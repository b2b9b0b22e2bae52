/** The connections of one stream, one after the other: when one breaks, the next goes on where it stopped. */

import { toText } from "./codec.js";
import { DisconnectedError } from "./errors.js";
import type { Closed, Connection } from "./connection.js";
import type { OpenSocket, Socket } from "./socket-types.js";
import { tokenNow, type Token } from "./token.js";
import { sleep } from "./waiting.js";

const PING_MS = 5_000;

/** Nothing came for so long, not even an answer to a ping: the connection is taken for broken. */
const SILENCE_MS = 12_000;

const ACK_MS = 1_000;

/** A connection that takes longer to be made is given up. */
const OPEN_MS = 5_000;

const MOST_WAIT_MS = 2_000; // between two attempts

/** Close codes after which there is nothing to resume. */
const FINAL: Record<number, string> = {
  1000: "the session ended",
  1001: "the server stops",
  1008: "the server refused the connection",
  1009: "a message was too large",
  1011: "the session failed",
  1013: "the connection is too slow",
  4000: "the stream was resumed on another connection",
};

export interface Lines {
  receive: (data: string | Uint8Array) => void;
  /** Counted messages received so far. */
  received: () => number;
  changed: (state: Connection) => void;
  over: (closed: Closed) => void;
}

export class Line {
  #socket: Socket | undefined;
  #attempt = 0; // tells a connection's events from those of one before it
  #up = false; // created or resumed: messages may go out
  #over = false;
  #resumeMs = 0; // 0: never created
  #resumable = 0; // until when
  #expected: Closed | undefined;
  #heardAt = 0;
  #pingedAt = 0;
  #acknowledged = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly url: string,
    private readonly token: Token,
    private readonly openSocket: OpenSocket,
    private readonly lines: Lines,
  ) {}

  /** Makes the first connection. */
  async open(): Promise<void> {
    await this.#connect(this.url);
    this.#timer = setInterval(() => this.#tick(), ACK_MS);
    (this.#timer as { unref?: () => void }).unref?.();
  }

  /** Sends now, or not at all: what is counted comes again when the line is up. */
  send(data: string | Uint8Array): void {
    if (this.#up) this.#socket?.send(data);
  }

  /** The server knows the stream on this connection: what is `missing` there goes first. */
  isUp(missing: Iterable<{ data: string | Uint8Array }>, resumeMs = this.#resumeMs): void {
    this.#resumeMs = resumeMs;
    this.#up = true;
    for (const { data } of missing) this.#socket?.send(data);
    this.lines.changed("open");
  }

  /** The connection closes next, and this is why. */
  expectClose(closed: Closed): void {
    this.#expected = closed;
  }

  close(code: number): void {
    this.#over = true;
    this.#up = false;
    this.#attempt += 1;
    clearInterval(this.#timer);
    this.#socket?.close(code);
    this.#socket = undefined;
  }

  async #connect(url: string): Promise<void> {
    const attempt = (this.#attempt += 1);
    const early: (string | Uint8Array)[] = []; // came before we were told that the connection is open
    let earlyEnd: number | undefined;
    const opening = this.openSocket(url, tokenNow(this.token), {
      message: (data) => {
        if (attempt !== this.#attempt) return;
        this.#heardAt = performance.now();
        if (this.#socket === undefined) early.push(data);
        else this.lines.receive(data);
      },
      closed: (code) => {
        if (attempt !== this.#attempt) return;
        if (this.#socket === undefined) earlyEnd = code;
        else this.#closed(code);
      },
    });
    const slow = sleep(OPEN_MS).then(() => {
      throw new DisconnectedError(`no connection within ${OPEN_MS / 1000} s`, 1006);
    });
    slow.catch(() => undefined);
    void opening.then((socket) => attempt !== this.#attempt && socket.close(1000)).catch(() => undefined);
    try {
      this.#socket = await Promise.race([opening, slow]);
    } catch (error) {
      this.#attempt += 1;
      throw error;
    }
    if (this.#over) throw new DisconnectedError("the stream was closed", 1000);
    this.#heardAt = this.#pingedAt = performance.now();
    for (const data of early) this.lines.receive(data);
    if (earlyEnd !== undefined) this.#closed(earlyEnd);
  }

  #closed(code: number): void {
    if (this.#up) this.#resumable = performance.now() + this.#resumeMs;
    this.#socket = undefined;
    this.#up = false;
    const reason = FINAL[code];
    if (this.#expected !== undefined) this.#finish(this.#expected);
    else if (code === 1000 || code === 1001) this.#finish({ reason: reason as string });
    else if (reason !== undefined) this.#finish({ reason, error: new DisconnectedError(reason, code) });
    else if (this.#resumeMs === 0) this.#broken("the connection broke before the stream began");
    else void this.#resume();
  }

  async #resume(): Promise<void> {
    this.lines.changed("resuming");
    for (let wait = 0; !this.#over; wait = Math.min(MOST_WAIT_MS, 2 * wait || 250)) {
      await sleep(wait);
      if (this.#over) return;
      if (performance.now() > this.#resumable) {
        return this.#broken(`the connection broke, and none came for ${this.#resumeMs / 1000} s`);
      }
      const url = new URL(this.url);
      url.searchParams.set("resume", String(this.lines.received()));
      try {
        return await this.#connect(url.href);
      } catch {
        continue;
      }
    }
  }

  #broken(reason: string): void {
    this.#finish({ reason, error: new DisconnectedError(reason, 1006) });
  }

  #finish(closed: Closed): void {
    this.#over = true;
    clearInterval(this.#timer);
    this.lines.over(closed);
  }

  #tick(): void {
    if (!this.#up) return;
    const now = performance.now();
    const received = this.lines.received();
    if (received !== this.#acknowledged) this.#socket?.send(toText({ type: "ack", received }));
    this.#acknowledged = received;
    if (now - this.#pingedAt > PING_MS) {
      this.#pingedAt = now;
      this.#socket?.send(toText({ type: "ping" }));
    }
    if (now - this.#heardAt < SILENCE_MS) return;
    this.#attempt += 1;
    this.#socket?.close(4001);
    this.#closed(1006);
  }
}
