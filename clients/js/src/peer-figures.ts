/** How well media come, from a connection's own counts. */

/** What a viewer notices, from the browser's own counts. Null: not known (yet). */
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

/** Counts of one connection since it began. */
export interface Sample {
  waited: number; // seconds, all pictures together
  emitted: number; // pictures
  roundTripMs: number;
  heardAt: number; // ms of the sender's clock, of what is being heard
  seenAt: number;
  framesPerSecond: number | null;
  width: number | null;
  height: number | null;
  lost: number;
}

export const EMPTY: Sample = {
  waited: 0,
  emitted: 0,
  roundTripMs: 0,
  heardAt: 0,
  seenAt: 0,
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

/** Of the time between two samples of one connection. */
export function figuresBetween(before: Sample, sample: Sample): PeerFigures {
  const emitted = sample.emitted - before.emitted;
  const waited = emitted > 0 ? (1000 * (sample.waited - before.waited)) / emitted : null;
  return {
    receiveMs: waited === null ? null : waited + sample.roundTripMs / 2,
    skewMs: sample.heardAt > 0 && sample.seenAt > 0 ? sample.heardAt - sample.seenAt : null,
    framesPerSecond: sample.framesPerSecond,
    width: sample.width,
    height: sample.height,
    packetsLost: sample.lost,
  };
}

function inbound(stat: Inbound, sample: Sample): void {
  sample.lost += stat.packetsLost ?? 0;
  if (stat.kind === "audio") {
    sample.heardAt = stat.estimatedPlayoutTimestamp ?? 0;
    return;
  }
  sample.seenAt = stat.estimatedPlayoutTimestamp ?? 0;
  sample.waited = stat.jitterBufferDelay ?? 0;
  sample.emitted = stat.jitterBufferEmittedCount ?? 0;
  sample.framesPerSecond = stat.framesPerSecond ?? null;
  sample.width = stat.frameWidth ?? null;
  sample.height = stat.frameHeight ?? null;
}
