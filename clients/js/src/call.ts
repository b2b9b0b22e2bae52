/** Sends camera and microphone and receives the dubbed video, on one connection. */

import { Peer } from "./peer.js";
import { play } from "./playback.js";
import { gatherCandidates, send, type SignallingOptions } from "./signalling.js";

export interface CallOptions extends Omit<SignallingOptions, "patienceMs" | "reconnects"> {
  /** Plays the dubbed video. */
  element?: HTMLMediaElement;
}

/** The route takes no trickled candidates: those found later are not used. */
const GATHER_TIMEOUT_MS = 1_500;

/** Sends the tracks of `media` (null: none) and receives sound and picture; resolves when media can flow. */
export async function call(url: URL, media: MediaStream | null, options: CallOptions = {}): Promise<Peer> {
  const { element, iceServers = [], signal } = options;
  signal?.throwIfAborted();
  const create = () => {
    const connection = new RTCPeerConnection({ iceServers });
    for (const kind of ["audio", "video"]) {
      const track = media?.getTracks().find((one) => one.kind === kind);
      connection.addTransceiver(track ?? kind, { direction: track === undefined ? "recvonly" : "sendrecv" });
    }
    return connection;
  };
  const negotiate = async (connection: RTCPeerConnection, stop: AbortSignal) => {
    await connection.setLocalDescription();
    await gatherCandidates(connection, stop, GATHER_TIMEOUT_MS);
    const body = JSON.stringify(connection.localDescription);
    const headers = { "Content-Type": "application/json" };
    const response = await send(url, { method: "POST", headers, body }, { ...options, signal: stop });
    await connection.setRemoteDescription((await response.json()) as RTCSessionDescriptionInit);
    return { end: () => Promise.resolve() };
  };
  const peer = new Peer({ create, negotiate, reconnects: 0 }, signal); // the session ends with the connection
  if (element !== undefined) play(element, peer.media);
  return await peer.connect();
}
