/** One WebRTC connection to a server: what comes of it, how well, and its end. */

import { PeerError } from "./errors.js";
import { abortable, deferred } from "./waiting.js";

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

/** A way that is interrupted for so long is taken for lost. */
const LOST_MS = 6_000;

export class Peer {
  /** What is received. Tracks come in as the connection learns of them. */
  readonly media = new MediaStream();
  /** Resolves when it is over; with an error where nobody closed it. */
  readonly closed: Promise<PeerError | undefined>;

  readonly #over = deferred<PeerError | undefined>();
  readonly #connected = deferred<void>();
  #end: (() => Promise<void>) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #before: Sample | undefined;

  constructor(readonly connection: RTCPeerConnection) {
    this.closed = this.#over.promise;
    connection.addEventListener("track", ({ track }) => this.media.addTrack(track));
    connection.addEventListener("connectionstatechange", () => this.#changed());
  }

  /** Resolves when media can flow. Throws `PeerError`. `end` tells the server that it is over. */
  async connect(end: () => Promise<void>, signal?: AbortSignal): Promise<this> {
    this.#end = end;
    try {
      await abortable(this.#connected.promise, signal);
    } catch (error) {
      await this.close();
      throw error;
    }
    return this;
  }

  /** Hangs up. `isKnown`: the server knows already, its session has ended. */
  async close(isKnown = false): Promise<void> {
    clearTimeout(this.#timer);
    this.#over.resolve(undefined);
    this.#connected.reject(new PeerError("the connection was closed"));
    const end = this.#end;
    this.#end = undefined;
    if (!isKnown) await end?.();
    this.connection.close();
    for (const track of this.media.getTracks()) track.stop();
  }

  /** Counts of the time since the last call. */
  async figures(): Promise<PeerFigures> {
    const sample = read(await this.connection.getStats());
    const before = this.#before ?? EMPTY;
    this.#before = sample;
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

  #changed(): void {
    const state = this.connection.connectionState;
    clearTimeout(this.#timer);
    if (state === "connected") this.#connected.resolve();
    if (state === "disconnected") this.#timer = setTimeout(() => this.#fail("the connection was lost"), LOST_MS);
    if (state === "failed") this.#fail("no way to the server was found (is UDP blocked?)");
  }

  #fail(message: string): void {
    const error = new PeerError(message);
    this.#over.resolve(error);
    this.#connected.reject(error);
    void this.close();
  }
}

interface Sample {
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

const EMPTY: Sample = {
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

function read(report: RTCStatsReport): Sample {
  const sample = { ...EMPTY };
  report.forEach((stat: RTCStats) => {
    if (stat.type === "inbound-rtp") inbound(stat as Inbound, sample);
    const pair = stat as RTCIceCandidatePairStats;
    if (stat.type === "candidate-pair" && pair.nominated) sample.roundTripMs = 1000 * (pair.currentRoundTripTime ?? 0);
  });
  return sample;
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
