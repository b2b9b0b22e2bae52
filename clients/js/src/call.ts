/** Camera and microphone up, dubbed video down, on one connection. */

import { Peer } from "./peer.js";
import { gathered, send, type SignallingOptions } from "./signalling.js";

export interface CallOptions extends Omit<SignallingOptions, "patienceMs" | "reconnects"> {
  /** Shows what comes back. */
  element?: HTMLMediaElement;
}

/** This route takes no candidates later: those that take longer are not waited for. */
const GATHER_MS = 1_500;

/** Sends the tracks of `media` (null: none) and receives sound and picture; resolves when media can flow. */
export async function call(url: URL, media: MediaStream | null, options: CallOptions = {}): Promise<Peer> {
  const { element, iceServers = [], signal } = options;
  signal?.throwIfAborted();
  const make = () => {
    const connection = new RTCPeerConnection({ iceServers });
    for (const kind of ["audio", "video"]) {
      const track = media?.getTracks().find((one) => one.kind === kind);
      connection.addTransceiver(track ?? kind, { direction: track === undefined ? "recvonly" : "sendrecv" });
    }
    return connection;
  };
  const agree = async (connection: RTCPeerConnection, stop: AbortSignal) => {
    await connection.setLocalDescription();
    await gathered(connection, stop, GATHER_MS);
    const body = JSON.stringify(connection.localDescription);
    const headers = { "Content-Type": "application/json" };
    const response = await send(url, { method: "POST", headers, body }, { ...options, signal: stop });
    await connection.setRemoteDescription((await response.json()) as RTCSessionDescriptionInit);
    return { end: () => Promise.resolve() };
  };
  const peer = new Peer({ make, agree, reconnects: 0 }, signal); // the session ends with it
  if (element !== undefined) element.srcObject = peer.media;
  return await peer.connect();
}
