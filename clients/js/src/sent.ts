/** Counted messages to the server, kept until it has them: what a resumed connection sends again. Sans-IO. */

export interface SentMessage {
  data: string | Uint8Array;
  /** Milliseconds of speech in it. */
  speech: number;
}

export class Sent {
  readonly #kept: SentMessage[] = [];
  #first = 0;

  /** Messages so far. */
  get count(): number {
    return this.#first + this.#kept.length;
  }

  /** Milliseconds of speech that the server may not have yet. */
  get speech(): number {
    return this.#kept.reduce((sum, { speech }) => sum + speech, 0);
  }

  put(message: SentMessage): void {
    this.#kept.push(message);
  }

  /** What was said is not heard any more: it takes no room. */
  hush(): void {
    for (const message of this.#kept) message.speech = 0;
  }

  /** The server has the first `received`. Throws `RangeError` where fewer were sent, or more forgotten. */
  acknowledge(received: number): void {
    if (received < this.#first || received > this.count) {
      throw new RangeError(`${received} messages received (sent: ${this.count}, kept from ${this.#first} on)`);
    }
    this.#kept.splice(0, received - this.#first);
    this.#first = received;
  }

  /** What the server does not have yet, in order. */
  rest(): readonly SentMessage[] {
    return this.#kept;
  }
}
