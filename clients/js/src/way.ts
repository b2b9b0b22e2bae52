/** The way that a connection's media take. */

import { abortable } from "./waiting.js";

/** The first of `states` that the connection is in; undefined where that takes longer than `ms`. */
export async function reached<S extends RTCPeerConnectionState>(
  connection: RTCPeerConnection,
  states: readonly S[],
  ms: number,
  signal: AbortSignal,
): Promise<S | undefined> {
  const over = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const found = new Promise<S | undefined>((resolve) => {
    const look = () => {
      const state = states.find((one) => one === connection.connectionState);
      if (state !== undefined) resolve(state);
    };
    connection.addEventListener("connectionstatechange", look, { signal: over.signal });
    timer = setTimeout(() => resolve(undefined), ms);
    look();
  });
  try {
    return await abortable(found, signal);
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}
