/** Waiting for a state of an `RTCPeerConnection`. */

import { abortable } from "./promises.js";

/** Resolves with the first of `states` that the connection reaches, or undefined after `ms` milliseconds. */
export async function waitForState<S extends RTCPeerConnectionState>(
  connection: RTCPeerConnection,
  states: readonly S[],
  ms: number,
  signal: AbortSignal,
): Promise<S | undefined> {
  const listening = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const found = new Promise<S | undefined>((resolve) => {
    const check = () => {
      const state = states.find((one) => one === connection.connectionState);
      if (state !== undefined) resolve(state);
    };
    connection.addEventListener("connectionstatechange", check, { signal: listening.signal });
    timer = setTimeout(() => resolve(undefined), ms);
    check();
  });
  try {
    return await abortable(found, signal);
  } finally {
    clearTimeout(timer);
    listening.abort();
  }
}
