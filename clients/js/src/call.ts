/** Camera and microphone up, dubbed video down, on one connection. */

import { Peer } from "./peer.js";
import { gathered, send, type SignallingOptions } from "./signalling.js";

export interface CallOptions extends Omit<SignallingOptions, "patienceMs"> {
  /** Shows what comes back. */
  element?: HTMLMediaElement;
}

/** This route takes no candidates later: those that take longer are not waited for. */
const GATHER_MS = 1_500;

/** Sends the tracks of `media` (null: none) and receives sound and picture; resolves when media can flow. */
export async function call(url: URL, media: MediaStream | null, options: CallOptions = {}): Promise<Peer> {
  const { element, iceServers = [], signal } = options;
  signal?.throwIfAborted();
  const peer = new Peer(new RTCPeerConnection({ iceServers }));
  if (element !== undefined) element.srcObject = peer.media;
  for (const kind of ["audio", "video"]) {
    const track = media?.getTracks().find((one) => one.kind === kind);
    peer.connection.addTransceiver(track ?? kind, { direction: track === undefined ? "recvonly" : "sendrecv" });
  }
  try {
    await peer.connection.setLocalDescription();
    await gathered(peer.connection, signal, GATHER_MS);
    const body = JSON.stringify(peer.connection.localDescription);
    const headers = { "Content-Type": "application/json" };
    const response = await send(url, { method: "POST", headers, body }, options);
    await peer.connection.setRemoteDescription((await response.json()) as RTCSessionDescriptionInit);
    return await peer.connect(async () => undefined, signal);
  } catch (error) {
    await peer.close();
    throw error;
  }
}
