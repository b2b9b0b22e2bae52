/** Publishes by WHIP (RFC 9725), to any endpoint. */

import { Peer } from "./peer.js";
import { connectorOf, type SignallingOptions } from "./signalling.js";

export interface PublishOptions extends SignallingOptions {
  /** Maximum bits a second of the video. Left out: the browser chooses. */
  videoBitrate?: number;
}

/** Sends all tracks of `media`; resolves when they can flow. The caller stops the tracks. */
export async function publish(url: string | URL, media: MediaStream, options: PublishOptions = {}): Promise<Peer> {
  const { iceServers = [], signal, videoBitrate } = options;
  signal?.throwIfAborted();
  const tracks = media.getTracks();
  if (tracks.length === 0) throw new TypeError("nothing to publish (need a camera or a microphone track)");
  const create = () => {
    const connection = new RTCPeerConnection({ iceServers });
    for (const track of tracks) {
      const bitrate = track.kind === "video" && videoBitrate !== undefined ? { maxBitrate: videoBitrate } : {};
      connection.addTransceiver(track, { direction: "sendonly", streams: [media], sendEncodings: [bitrate] });
    }
    return connection;
  };
  return await new Peer(connectorOf(create, new URL(url), options), signal).connect();
}
