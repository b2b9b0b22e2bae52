/** Counted messages to the server, kept until it acknowledges them: a resumed connection sends them again. Sans-IO. */

export interface SentMessage {
  data: string | Uint8Array;
  /** Milliseconds of speech in it. */
  speechMs: number;
}

export class SendQueue {
  readonly #kept: SentMessage[] = [];
  #first = 0;

  /** Messages so far. */
  get count(): number {
    return this.#first + this.#kept.length;
  }

  /** Milliseconds of speech that the server may not have yet. */
  get speechMs(): number {
    return this.#kept.reduce((sum, message) => sum + message.speechMs, 0);
  }

  push(message: SentMessage): void {
    this.#kept.push(message);
  }

  /** Counts the speech in it as 0 ms, for after a clear none of it is heard. */
  clearSpeech(): void {
    for (const message of this.#kept) message.speechMs = 0;
  }

  /** Drops the first `received` messages. Throws `RangeError` where fewer were sent, or more acknowledged before. */
  acknowledge(received: number): void {
    if (received < this.#first || received > this.count) {
      throw new RangeError(`${received} messages received (sent: ${this.count}, kept from ${this.#first} on)`);
    }
    this.#kept.splice(0, received - this.#first);
    this.#first = received;
  }

  /** Returns what the server does not have yet, in order. */
  unacknowledged(): readonly SentMessage[] {
    return this.#kept;
  }
}
