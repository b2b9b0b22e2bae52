/** Watching by WHEP: any endpoint of the draft, ours or another's. */

import { Peer } from "./peer.js";
import { Resource, type SignallingOptions } from "./signalling.js";

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
  const peer = new Peer(new RTCPeerConnection({ iceServers }));
  if (element !== undefined) element.srcObject = peer.media;
  if (audio) peer.connection.addTransceiver("audio", { direction: "recvonly" });
  if (video) peer.connection.addTransceiver("video", { direction: "recvonly" });
  try {
    const resource = await Resource.post(peer.connection, new URL(url), options);
    return await peer.connect(() => resource.end(), signal, () => resource.restart());
  } catch (error) {
    await peer.close();
    throw error;
  }
}
