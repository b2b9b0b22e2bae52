/** Listeners by event name. `Events` maps a name to the type of its event. */
export class Listeners<Events> {
  readonly #all = new Map<keyof Events, Set<(event: never) => void>>();

  /** Calls `listener` from now on; returns a function that removes it. A `signal` removes it as well. */
  on<K extends keyof Events>(name: K, listener: (event: Events[K]) => void, signal?: AbortSignal): () => void {
    const listeners = this.#all.get(name) ?? new Set();
    this.#all.set(name, listeners.add(listener));
    const off = () => void listeners.delete(listener);
    if (signal?.aborted) off();
    signal?.addEventListener("abort", off, { once: true });
    return off;
  }

  /** Calls the listeners of `name`. An error of one is reported as uncaught, and the others are called all the same. */
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
