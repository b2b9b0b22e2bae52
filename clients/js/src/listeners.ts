/** Functions that hear of something by its name. `Events` maps a name to what they are given. */
export class Listeners<Events> {
  readonly #all = new Map<keyof Events, Set<(event: never) => void>>();

  /** Calls `listener` from now on; returns what ends that. A `signal` ends it as well. */
  on<K extends keyof Events>(name: K, listener: (event: Events[K]) => void, signal?: AbortSignal): () => void {
    const listeners = this.#all.get(name) ?? new Set();
    this.#all.set(name, listeners.add(listener));
    const off = () => void listeners.delete(listener);
    if (signal?.aborted) off();
    signal?.addEventListener("abort", off, { once: true });
    return off;
  }

  /** A listener's own error is the page's or the program's, not ours: it is reported, and the others are called. */
  emit<K extends keyof Events>(name: K, event: Events[K]): void {
    for (const listener of [...(this.#all.get(name) ?? [])]) {
      try {
        (listener as (event: Events[K]) => void)(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
