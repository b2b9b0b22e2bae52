/** Watching by WHEP: any endpoint of the draft, ours or another's. */

import { Peer } from "./peer.js";
import { planned, type SignallingOptions } from "./signalling.js";

export interface WatchOptions extends SignallingOptions {
  /** Shows it: plays sound and picture. */
  element?: HTMLMediaElement;
  audio?: boolean;
  video?: boolean;
}

/**
 * Resolves when media can flow.
 *
 *     const peer = await watch("https://host/v1/sessions/ID/whep", { token, element: video });
 */
export async function watch(url: string | URL, options: WatchOptions = {}): Promise<Peer> {
  const { element, audio = true, video = true, iceServers = [], signal } = options;
  signal?.throwIfAborted();
  const make = () => {
    const connection = new RTCPeerConnection({ iceServers });
    if (audio) connection.addTransceiver("audio", { direction: "recvonly" });
    if (video) connection.addTransceiver("video", { direction: "recvonly" });
    return connection;
  };
  const peer = new Peer(planned(make, new URL(url), options), signal);
  if (element !== undefined) element.srcObject = peer.media;
  return await peer.connect();
}
