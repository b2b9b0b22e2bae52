/** A bounded queue with one reader, in order. */
export class Queue<T> implements AsyncIterableIterator<T> {
  #items: T[] = [];
  #reader: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void } | undefined;
  #over: { error?: unknown } | undefined;

  /**
   * @param bound items that it holds
   * @param full policy beyond: `drop-oldest`, or `fail`, which ends the queue with an error
   * @param onReturn called when its reader leaves the loop
   */
  constructor(
    readonly bound: number,
    readonly full: "drop-oldest" | "fail",
    private readonly onReturn?: () => void,
  ) {}

  push(item: T): void {
    if (this.#over !== undefined) return;
    if (this.#reader !== undefined) {
      const reader = this.#reader;
      this.#reader = undefined;
      reader.resolve({ value: item, done: false });
      return;
    }
    this.#items.push(item);
    if (this.#items.length <= this.bound) return;
    if (this.full === "drop-oldest") this.#items.shift();
    else this.end(new RangeError(`${this.bound} messages wait to be read (read them faster)`));
  }

  /** Ends it; what it holds can still be read. */
  end(error?: unknown): void {
    if (this.#over !== undefined) return;
    this.#over = error === undefined ? {} : { error };
    if (this.#reader === undefined) return;
    if (error === undefined) this.#reader.resolve({ value: undefined, done: true });
    else this.#reader.reject(error);
    this.#reader = undefined;
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#items.length > 0) return Promise.resolve({ value: this.#items.shift() as T, done: false });
    if (this.#over?.error !== undefined) return Promise.reject(this.#over.error as Error);
    if (this.#over !== undefined) return Promise.resolve({ value: undefined, done: true });
    if (this.#reader !== undefined) return Promise.reject(new TypeError("the queue is being read already"));
    return new Promise((resolve, reject) => (this.#reader = { resolve, reject }));
  }

  return(): Promise<IteratorResult<T>> {
    this.#items = [];
    this.end();
    this.onReturn?.();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
