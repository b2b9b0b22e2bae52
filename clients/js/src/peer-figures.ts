/** Statistics of received media, from `RTCPeerConnection.getStats`. */

/** Delay, synchronisation and loss as a viewer notices them. Null: not known (yet). */
export interface PeerFigures {
  /** Milliseconds from the server to the eye: half a round trip, and the wait in the jitter buffer. */
  receiveMs: number | null;
  /** Milliseconds by which the sound that is heard is ahead of the picture that is seen; below 0: behind. */
  skewMs: number | null;
  framesPerSecond: number | null;
  width: number | null;
  height: number | null;
  packetsLost: number;
}

/** Counters of one connection since it began. */
export interface Sample {
  waited: number; // seconds in the jitter buffer, summed over all pictures
  emitted: number; // pictures
  roundTripMs: number;
  audioPlayoutMs: number; // on the sender's clock
  videoPlayoutMs: number;
  framesPerSecond: number | null;
  width: number | null;
  height: number | null;
  lost: number;
}

export const EMPTY: Sample = {
  waited: 0,
  emitted: 0,
  roundTripMs: 0,
  audioPlayoutMs: 0,
  videoPlayoutMs: 0,
  framesPerSecond: null,
  width: null,
  height: null,
  lost: 0,
};

/** `estimatedPlayoutTimestamp` is not in TypeScript's types of every release. */
type Inbound = RTCInboundRtpStreamStats & { estimatedPlayoutTimestamp?: number };

export function read(report: RTCStatsReport): Sample {
  const sample = { ...EMPTY };
  report.forEach((stat: RTCStats) => {
    if (stat.type === "inbound-rtp") inbound(stat as Inbound, sample);
    const pair = stat as RTCIceCandidatePairStats;
    if (stat.type === "candidate-pair" && pair.nominated) sample.roundTripMs = 1000 * (pair.currentRoundTripTime ?? 0);
  });
  return sample;
}

/** Computes the figures of the time between two samples of one connection. */
export function figuresBetween(before: Sample, sample: Sample): PeerFigures {
  const { audioPlayoutMs, videoPlayoutMs } = sample;
  const emitted = sample.emitted - before.emitted;
  const waited = emitted > 0 ? (1000 * (sample.waited - before.waited)) / emitted : null;
  return {
    receiveMs: waited === null ? null : waited + sample.roundTripMs / 2,
    skewMs: audioPlayoutMs > 0 && videoPlayoutMs > 0 ? audioPlayoutMs - videoPlayoutMs : null,
    framesPerSecond: sample.framesPerSecond,
    width: sample.width,
    height: sample.height,
    packetsLost: sample.lost,
  };
}

function inbound(stat: Inbound, sample: Sample): void {
  sample.lost += stat.packetsLost ?? 0;
  if (stat.kind === "audio") {
    sample.audioPlayoutMs = stat.estimatedPlayoutTimestamp ?? 0;
    return;
  }
  sample.videoPlayoutMs = stat.estimatedPlayoutTimestamp ?? 0;
  sample.waited = stat.jitterBufferDelay ?? 0;
  sample.emitted = stat.jitterBufferEmittedCount ?? 0;
  sample.framesPerSecond = stat.framesPerSecond ?? null;
  sample.width = stat.frameWidth ?? null;
  sample.height = stat.frameHeight ?? null;
}
