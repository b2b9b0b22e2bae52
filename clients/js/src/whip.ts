/** Publishing by WHIP (RFC 9725): to any endpoint, ours or another's. */

import { Peer } from "./peer.js";
import { planned, type SignallingOptions } from "./signalling.js";

export interface PublishOptions extends SignallingOptions {
  /** Bits a second of the video at most. Left out: the browser's own choice. */
  videoBitrate?: number;
}

/** Sends all tracks of `media`; resolves when they can flow. The tracks stay the caller's, to be stopped by it. */
export async function publish(url: string | URL, media: MediaStream, options: PublishOptions = {}): Promise<Peer> {
  const { iceServers = [], signal, videoBitrate } = options;
  signal?.throwIfAborted();
  const tracks = media.getTracks();
  if (tracks.length === 0) throw new TypeError("nothing to publish (need a camera or a microphone track)");
  const make = () => {
    const connection = new RTCPeerConnection({ iceServers });
    for (const track of tracks) {
      const bitrate = track.kind === "video" && videoBitrate !== undefined ? { maxBitrate: videoBitrate } : {};
      connection.addTransceiver(track, { direction: "sendonly", streams: [media], sendEncodings: [bitrate] });
    }
    return connection;
  };
  return await new Peer(planned(make, new URL(url), options), signal).connect();
}
