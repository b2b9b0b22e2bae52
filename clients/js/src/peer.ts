/** One WebRTC connection to a server: what comes of it, how well, and its end. */

import { HttpError, MyTalkError, PeerError } from "./errors.js";
import { Listeners } from "./listeners.js";
import { abortable, deferred, sleep } from "./waiting.js";

/** `restarting`: media have stopped, and a new way to the server is being agreed on (an ICE restart). */
export type Way = "open" | "restarting" | "closed";

/** What `on` can listen to. */
export interface PeerEvents {
  connection: Way;
}

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

/** A way that is interrupted for so long is taken for lost: another is looked for, or it is given up. */
const LOST_MS = 5_000;

/** For so long another way is looked for. The server gives up after 30 s without the peer. */
const MEND_MS = 25_000;

/** So long after a restart it may take until media flow. */
const CONNECT_MS = 8_000;

const AGAIN_MS = 1_000;

export class Peer {
  /** What is received. Tracks come in as the connection learns of them. */
  readonly media = new MediaStream();
  /** Resolves when it is over; with an error where nobody closed it. */
  readonly closed: Promise<PeerError | undefined>;

  readonly #over = deferred<PeerError | undefined>();
  readonly #connected = deferred<void>();
  readonly #listeners = new Listeners<PeerEvents>();
  readonly #stop = new AbortController();
  #way: Way | undefined;
  #isMending = false;
  #end: (() => Promise<void>) | undefined;
  #restart: (() => Promise<void>) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #before: Sample | undefined;

  constructor(readonly connection: RTCPeerConnection) {
    this.closed = this.#over.promise;
    connection.addEventListener("track", ({ track }) => this.media.addTrack(track));
    connection.addEventListener("connectionstatechange", () => this.#changed());
  }

  /** Calls `listener` from now on; returns what ends that. A `signal` ends it as well. */
  on<K extends keyof PeerEvents>(name: K, listener: (event: PeerEvents[K]) => void, signal?: AbortSignal): () => void {
    return this.#listeners.on(name, listener, signal);
  }

  /**
   * Resolves when media can flow. Throws `PeerError`. `end` tells the server that it is over. `restart`, where the
   * server can, agrees with it on a new way for the same media; it is called when the way has been lost.
   */
  async connect(end: () => Promise<void>, signal?: AbortSignal, restart?: () => Promise<void>): Promise<this> {
    this.#end = end;
    this.#restart = restart;
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
    this.#stop.abort();
    this.#over.resolve(undefined);
    this.#connected.reject(new PeerError("the connection was closed"));
    this.#become("closed");
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
    if (state === "connected") {
      this.#connected.resolve();
      this.#become("open");
    }
    if (this.#isMending) return;
    if (state === "disconnected") this.#timer = setTimeout(() => this.#lost("the connection was lost"), LOST_MS);
    if (state === "failed") this.#lost("no way to the server was found (is UDP blocked?)");
  }

  /** ICE alone can be restarted: not DTLS, nor what never was a connection. */
  #lost(message: string): void {
    const isIce = this.connection.iceConnectionState !== "connected" && this.connection.iceConnectionState !== "completed";
    if (this.#restart === undefined || this.#way !== "open" || !isIce) this.#fail(message);
    else void this.#mend(this.#restart);
  }

  /** Restarts ICE until media flow again; fails when the server cannot, or after `MEND_MS`. */
  async #mend(restart: () => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    const until = performance.now() + MEND_MS;
    this.#isMending = true;
    this.#become("restarting");
    try {
      while (!(await this.#isMended(restart))) {
        if (performance.now() > until) throw new PeerError("the connection was lost");
        await sleep(AGAIN_MS, signal);
      }
    } catch (error) {
      if (!signal.aborted) this.#fail((error as Error).message);
    } finally {
      this.#isMending = false;
      if (!signal.aborted) this.#changed();
    }
  }

  /** One try. Throws what no further try would change. */
  async #isMended(restart: () => Promise<void>): Promise<boolean> {
    const { connection } = this;
    const { signal } = this.#stop;
    try {
      await abortable(restart(), signal);
    } catch (error) {
      if (signal.aborted || isFinal(error)) throw error;
      return false;
    }
    const done = new AbortController();
    const connected = new Promise<void>((resolve) => {
      const look = () => connection.connectionState === "connected" && resolve();
      connection.addEventListener("connectionstatechange", look, { signal: done.signal });
      look();
    });
    await Promise.race([connected, sleep(CONNECT_MS, signal)]).finally(() => done.abort());
    return connection.connectionState === "connected";
  }

  #become(way: Way): void {
    if (this.#way === way || this.#way === "closed") return;
    this.#way = way;
    this.#listeners.emit("connection", way);
  }

  #fail(message: string): void {
    const error = new PeerError(message);
    this.#over.resolve(error);
    this.#connected.reject(error);
    void this.close();
  }
}

/** A network that is away, or a server that is busy, may be back a second later. */
function isFinal(error: unknown): boolean {
  if (error instanceof HttpError) return error.status !== 429 && (error.status < 500 || error.status === 501);
  return error instanceof MyTalkError;
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
