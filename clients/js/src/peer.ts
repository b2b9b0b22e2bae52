/** A WebRTC connection to a server, kept up: a way that is lost is mended, a connection that is lost is made anew. */

import { BusyError, GoneError, HttpError, MyTalkError, PeerError, UnsupportedError } from "./errors.js";
import { Listeners } from "./listeners.js";
import { EMPTY, figuresBetween, read, type PeerFigures } from "./peer-figures.js";
import { abortable, deferred, sleep } from "./waiting.js";
import { reached } from "./way.js";

/**
 * `restarting`: media have stopped, and a new way for the same connection is being agreed on (an ICE restart).
 * `reconnecting`: that cannot be, and another connection is being made.
 */
export type Way = "open" | "restarting" | "reconnecting" | "closed";

/** A try to make another connection. `cause`: why the one before was lost, or the last try failed. */
export interface Reconnecting {
  attempt: number; // from 1
  of: number;
  cause: Error;
}

/** What `on` can listen to. */
export interface PeerEvents {
  connection: Way;
  reconnecting: Reconnecting;
}

/** How a peer connects. */
export interface Plan {
  /** A connection with its transceivers, that nothing was offered of yet. */
  make: () => RTCPeerConnection;
  /** Offers it, and takes the server's answer. */
  agree: (connection: RTCPeerConnection, signal: AbortSignal) => Promise<Place>;
  /** Other connections that are tried when one is lost for good. */
  reconnects: number;
}

/** What a connection has at its server. */
export interface Place {
  /** Tells the server that it is over. */
  end: () => Promise<void>;
  /** Agrees on a new way for the same media, where the server can. */
  restart?: () => Promise<void>;
}

/** A way that is interrupted for so long is taken for lost: another is looked for. */
const LOST_MS = 5_000;

/** For so long another way is looked for, where nobody says that there is none. */
const MEND_MS = 25_000;

/** So long after a restart it may take until media flow. */
const RESTART_MS = 8_000;

/** And so long after an answer. A server has forgotten a peer by then that never came. */
const CONNECT_MS = 20_000;

const AGAIN_MS = 1_000; // between two restarts

/** Between two other connections: doubled with each, up to the most, and a quarter more or less. */
const PAUSE_MS = 500;
const MOST_PAUSE_MS = 8_000;

export class Peer {
  /** What is received. Tracks come in as the connection learns of them; another connection's take their places. */
  readonly media: MediaStream;
  /** Resolves when it is over; with an error where nobody closed it. */
  readonly closed: Promise<PeerError | undefined>;

  readonly #over = deferred<PeerError | undefined>();
  readonly #listeners = new Listeners<PeerEvents>();
  readonly #stop = new AbortController();
  #now: Made;
  #place: Place | undefined;
  #way: Way | undefined;
  #isMending = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #before = EMPTY;

  /** `signal` ends connecting, the first time and whenever it is done again. */
  constructor(
    private readonly plan: Plan,
    private readonly signal?: AbortSignal,
  ) {
    if (typeof MediaStream === "undefined") {
      throw new UnsupportedError("no WebRTC here (in Node, open a stream with output.video instead)");
    }
    this.closed = this.#over.promise;
    this.media = new MediaStream();
    this.#now = this.#make();
  }

  /** The connection that is in use. */
  get connection(): RTCPeerConnection {
    return this.#now.connection;
  }

  /** Calls `listener` from now on; returns what ends that. A `signal` ends it as well. */
  on<K extends keyof PeerEvents>(name: K, listener: (event: PeerEvents[K]) => void, signal?: AbortSignal): () => void {
    return this.#listeners.on(name, listener, signal);
  }

  /** Resolves when media can flow. Throws `HttpError`, `PeerError`, or the signal's reason; then it is closed. */
  async connect(): Promise<this> {
    const off = this.#heed();
    try {
      await this.#dial(this.#now);
    } catch (error) {
      if (!this.#stop.signal.aborted && error instanceof PeerError) this.#over.resolve(error);
      await this.close();
      throw error;
    } finally {
      off();
    }
    return this;
  }

  /** Hangs up. `isKnown`: the server knows already, its session has ended. */
  async close(isKnown = false): Promise<void> {
    clearTimeout(this.#timer);
    this.#stop.abort(new PeerError("the connection was closed"));
    this.#over.resolve(undefined);
    this.#become("closed");
    const place = this.#place;
    this.#place = undefined;
    if (!isKnown) await place?.end();
    this.connection.close();
    for (const track of this.media.getTracks()) track.stop();
  }

  /** Counts of the time since the last call. */
  async figures(): Promise<PeerFigures> {
    const { connection } = this;
    const sample = read(await connection.getStats());
    const figures = figuresBetween(this.#before, sample);
    if (connection === this.connection) this.#before = sample;
    return figures;
  }

  // --- one connection

  #make(): Made {
    const made: Made = { connection: this.plan.make(), tracks: [] };
    made.connection.addEventListener("track", ({ track }) => {
      made.tracks.push(track);
      if (made === this.#now) this.media.addTrack(track);
    });
    made.connection.addEventListener("connectionstatechange", () => {
      if (made === this.#now) this.#look();
    });
    return made;
  }

  /** Connects, and takes it into use. Throws why it cannot be; then it is closed, and the server knows. */
  async #dial(made: Made): Promise<void> {
    const { signal } = this.#stop;
    let place: Place | undefined;
    try {
      place = await this.plan.agree(made.connection, signal);
      const state = await reached(made.connection, ["connected", "failed"], CONNECT_MS, signal);
      if (state !== "connected") throw new PeerError("no way to the server was found (is UDP blocked?)");
    } catch (error) {
      made.connection.close();
      await place?.end();
      throw error;
    }
    const before = this.#now;
    this.#now = made;
    this.#place = place;
    if (before !== made) {
      this.#before = EMPTY;
      for (const track of made.tracks) this.media.addTrack(track);
      for (const track of before.tracks) this.media.removeTrack(track);
      before.connection.close();
    }
    this.#become("open");
    this.#look();
  }

  // --- its way

  #look(): void {
    clearTimeout(this.#timer);
    if (this.#way !== "open" || this.#isMending) return;
    const state = this.connection.connectionState;
    const lost = new PeerError("the connection was lost");
    if (state === "disconnected") this.#timer = setTimeout(() => void this.#mend(lost), LOST_MS);
    if (state === "failed") void this.#mend(lost);
  }

  async #mend(lost: PeerError): Promise<void> {
    const { signal } = this.#stop;
    const off = this.#heed();
    this.#isMending = true;
    try {
      const cause = await this.#restart(lost);
      if (cause !== undefined) await this.#reconnect(cause);
      else this.#become("open");
    } catch (error) {
      if (!signal.aborted) this.#over.resolve(asPeerError(error));
      await this.close();
    } finally {
      off();
      this.#isMending = false;
      this.#look();
    }
  }

  /** Restarts ICE until media flow again. Gives why they do not, where the server cannot or time is over. */
  async #restart(lost: PeerError): Promise<Error | undefined> {
    const { signal } = this.#stop;
    const restart = this.#place?.restart?.bind(this.#place);
    const ice = this.connection.iceConnectionState;
    if (restart === undefined || ice === "connected" || ice === "completed") return lost; // DTLS cannot be restarted
    const until = performance.now() + MEND_MS;
    this.#become("restarting");
    for (;;) {
      try {
        await abortable(restart(), signal);
        if (await reached(this.connection, ["connected"], RESTART_MS, signal)) return undefined;
      } catch (error) {
        if (signal.aborted) throw error;
        if (error instanceof MyTalkError && hasNoRestart(error)) return error;
      }
      if (performance.now() > until) return lost;
      await sleep(AGAIN_MS, signal);
    }
  }

  /** Makes another connection in place of the one that is lost. Throws the last try's reason. */
  async #reconnect(cause: Error): Promise<void> {
    const { signal } = this.#stop;
    const of = this.plan.reconnects;
    if (!(cause instanceof GoneError)) void this.#place?.end();
    this.#place = undefined;
    for (let attempt = 1; attempt <= of; attempt += 1) {
      this.#become("reconnecting");
      this.#listeners.emit("reconnecting", { attempt, of, cause });
      if (attempt > 1) await sleep(pause(attempt), signal);
      signal.throwIfAborted();
      try {
        return await this.#dial(this.#make());
      } catch (error) {
        if (signal.aborted || isFinal(error)) throw error;
        cause = error as Error;
      }
    }
    throw cause;
  }

  /** Has the caller's signal end what is under way. One that was aborted before, on an open connection, does not. */
  #heed(): () => void {
    const { signal } = this;
    const abort = () => this.#stop.abort(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    return () => signal?.removeEventListener("abort", abort);
  }

  #become(way: Way): void {
    if (this.#way === way || this.#way === "closed") return;
    this.#way = way;
    this.#listeners.emit("connection", way);
  }
}

/** A connection, and what came by it. */
interface Made {
  connection: RTCPeerConnection;
  tracks: MediaStreamTrack[];
}

function pause(attempt: number): number {
  return Math.min(MOST_PAUSE_MS, PAUSE_MS * 2 ** (attempt - 2)) * (0.75 + Math.random() / 2);
}

/** Whether no further restart would do: a busy server may be free a second later. */
function hasNoRestart(error: MyTalkError): boolean {
  if (error instanceof HttpError) return error.status !== 429 && (error.status < 500 || error.status === 501);
  return true;
}

/** Whether no other connection would do: the session is gone, or the token no longer good. */
function isFinal(error: unknown): boolean {
  return error instanceof HttpError && !(error instanceof BusyError) && error.status < 500;
}

function asPeerError(error: unknown): PeerError {
  if (error instanceof PeerError) return error;
  return new PeerError(`the connection was lost: ${(error as Error).message}`, { cause: error });
}
