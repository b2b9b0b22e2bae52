/** Watches by WHEP (draft-ietf-wish-whep), from any endpoint. */

import { Peer } from "./peer.js";
import { play } from "./playback.js";
import { connectorOf, type SignallingOptions } from "./signalling.js";
import { RenewedToken } from "./token.js";

export interface WatchOptions extends SignallingOptions {
  /** Plays sound and picture. */
  element?: HTMLMediaElement;
  audio?: boolean;
  video?: boolean;
  /**
   * The session's `tokens` route, where `token` is a view token of it: the token is renewed there while this watches,
   * so that a connection that breaks after hours can be made again.
   */
  renew?: string | URL;
  /** Called with each new token: to watch again later takes the newest. */
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
  const create = () => {
    const connection = new RTCPeerConnection({ iceServers });
    if (audio) connection.addTransceiver("audio", { direction: "recvonly" });
    if (video) connection.addTransceiver("video", { direction: "recvonly" });
    return connection;
  };
  const renewing =
    renew !== undefined && typeof token === "string"
      ? new RenewedToken(token, "view", () => renew, options.fetch ?? ((...given) => fetch(...given)), renewed)
      : undefined;
  const authorized = renewing === undefined ? options : { ...options, token: () => renewing.current };
  const peer = new Peer(connectorOf(create, new URL(url), authorized), signal);
  if (element !== undefined) play(element, peer.media);
  void peer.closed.then(() => renewing?.stop());
  await peer.connect();
  renewing?.renewAfter(0); // only an answer tells the lifetime
  return peer;
}
