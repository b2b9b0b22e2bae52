/** A WebRTC connection's figures and its ends, with a connection of the test's making. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PeerError, UnsupportedError } from "../src/errors.js";
import { Peer } from "../src/peer.js";
import { watch } from "../src/whep.js";
import { publish } from "../src/whip.js";

class FakeConnection extends EventTarget {
  connectionState = "new";
  stats: object[] = [];
  closed = false;

  getStats(): Promise<Map<number, object>> {
    return Promise.resolve(new Map(this.stats.entries()));
  }

  close(): void {
    this.closed = true;
  }

  become(state: string): void {
    this.connectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }
}

beforeEach(() => {
  vi.stubGlobal("MediaStream", class {
    getTracks = () => [];
  });
  vi.useFakeTimers();
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function made() {
  const connection = new FakeConnection();
  const end = vi.fn(() => Promise.resolve());
  const make = () => connection as unknown as RTCPeerConnection;
  const stop = new AbortController();
  const peer = new Peer({ make, agree: () => Promise.resolve({ end }), reconnects: 0 }, stop.signal);
  return { connection, peer, end, stop };
}

const video = (emitted: number, waited: number) => ({
  type: "inbound-rtp",
  kind: "video",
  jitterBufferEmittedCount: emitted,
  jitterBufferDelay: waited,
  estimatedPlayoutTimestamp: 5_000,
  framesPerSecond: 25,
  frameWidth: 640,
  frameHeight: 480,
  packetsLost: 1,
});
const audio = { type: "inbound-rtp", kind: "audio", estimatedPlayoutTimestamp: 5_012, packetsLost: 2 };
const pair = { type: "candidate-pair", nominated: true, currentRoundTripTime: 0.04 };

test("figures are those of the time since the last look", async () => {
  const { connection, peer } = made();
  connection.stats = [video(25, 1.0), audio, pair];
  expect(await peer.figures()).toMatchObject({ receiveMs: 60, skewMs: 12, framesPerSecond: 25, packetsLost: 3 });
  connection.stats = [video(50, 3.5), audio, pair];
  expect(await peer.figures()).toMatchObject({ receiveMs: 120, width: 640, height: 480 });
  expect(await peer.figures()).toMatchObject({ receiveMs: null });
});

test("without media there is nothing to say", async () => {
  expect(await made().peer.figures()).toMatchObject({ receiveMs: null, skewMs: null, width: null, packetsLost: 0 });
});

test("it connects, and hangs up once", async () => {
  const { connection, peer, end } = made();
  const connected = peer.connect();
  connection.become("connected");
  expect(await connected).toBe(peer);
  await peer.close();
  await peer.close();
  expect(end).toHaveBeenCalledOnce();
  expect(connection.closed).toBe(true);
  expect(await peer.closed).toBeUndefined();
});

test("a server that knows already is not told", async () => {
  const { connection, peer, end } = made();
  const connected = peer.connect();
  connection.become("connected");
  await connected;
  await peer.close(true);
  expect([end.mock.calls.length, connection.closed]).toEqual([0, true]);
});

test("where no way is found, connecting fails and the server is told", async () => {
  const { connection, peer, end } = made();
  const connected = peer.connect();
  connection.become("failed");
  await expect(connected).rejects.toBeInstanceOf(PeerError);
  expect(end).toHaveBeenCalledOnce();
  expect(await peer.closed).toBeInstanceOf(PeerError);
});

test("a way that comes back soon is not lost; one that does not is", async () => {
  const { connection, peer, end } = made();
  const connected = peer.connect();
  connection.become("connected");
  await connected;
  connection.become("disconnected");
  await vi.advanceTimersByTimeAsync(3_000);
  connection.become("connected");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(end).not.toHaveBeenCalled();
  connection.become("disconnected");
  await vi.advanceTimersByTimeAsync(7_000);
  expect(await peer.closed).toBeInstanceOf(PeerError);
  expect(end).toHaveBeenCalledOnce();
});

test("a signal hangs up what is not connected yet", async () => {
  const { connection, peer, end, stop } = made();
  const connected = peer.connect();
  await Promise.resolve();
  stop.abort(new Error("enough"));
  await expect(connected).rejects.toThrow("enough");
  expect([end.mock.calls.length, connection.closed]).toEqual([1, true]);
});

test("a signal that comes when it is open does not hang up", async () => {
  const { connection, peer, end, stop } = made();
  const connected = peer.connect();
  connection.become("connected");
  await connected;
  stop.abort();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([end.mock.calls.length, connection.closed]).toEqual([0, false]);
});

test("a program without WebRTC is told so", async () => {
  vi.stubGlobal("MediaStream", undefined);
  await expect(watch("https://host.example/whep")).rejects.toBeInstanceOf(UnsupportedError);
});

test("nothing is published without tracks", async () => {
  const nothing = { getTracks: () => [] } as unknown as MediaStream;
  await expect(publish("https://host.example/whip", nothing)).rejects.toThrow("nothing to publish");
});
