/** Watching by WHEP: any endpoint of the draft, ours or another's. */

import { Peer } from "./peer.js";
import { planned, type SignallingOptions } from "./signalling.js";
import { LastingToken } from "./token.js";

export interface WatchOptions extends SignallingOptions {
  /** Shows it: plays sound and picture. */
  element?: HTMLMediaElement;
  audio?: boolean;
  video?: boolean;
  /**
   * The session's `tokens` route, where `token` is a view token of ours: it is renewed there for as long as this
   * watches, so that a connection that breaks after hours can be made anew.
   */
  renew?: string | URL;
  /** Told of each new token: who watches again later needs the newest. */
  renewed?: (token: string) => void;
}

/**
 * Resolves when media can flow.
 *
 *     const peer = await watch("https://host/v1/sessions/ID/whep", { token, element: video });
 */
export async function watch(url: string | URL, options: WatchOptions = {}): Promise<Peer> {
  const { element, audio = true, video = true, iceServers = [], signal, renew, renewed, token } = options;
  signal?.throwIfAborted();
  const make = () => {
    const connection = new RTCPeerConnection({ iceServers });
    if (audio) connection.addTransceiver("audio", { direction: "recvonly" });
    if (video) connection.addTransceiver("video", { direction: "recvonly" });
    return connection;
  };
  const lasting =
    renew !== undefined && typeof token === "string"
      ? new LastingToken(token, "view", () => renew, options.fetch ?? ((...given) => fetch(...given)), renewed)
      : undefined;
  const known = lasting === undefined ? options : { ...options, token: () => lasting.now };
  const peer = new Peer(planned(make, new URL(url), known), signal);
  if (element !== undefined) element.srcObject = peer.media;
  void peer.closed.then(() => lasting?.stop());
  await peer.connect();
  lasting?.renewAfter(0); // how long it is good for is in the answer
  return peer;
}
