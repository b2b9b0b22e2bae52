/** Tests a peer's figures and how it closes, with a fake connection. */

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

  getReceivers(): never[] {
    return [];
  }

  close(): void {
    this.closed = true;
  }

  setState(state: string): void {
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
  const create = () => connection as unknown as RTCPeerConnection;
  const stop = new AbortController();
  const peer = new Peer({ create, negotiate: () => Promise.resolve({ end }), reconnects: 0 }, stop.signal);
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

test("figures cover the time since the last call", async () => {
  const { connection, peer } = made();
  connection.stats = [video(25, 1.0), audio, pair];
  expect(await peer.figures()).toMatchObject({ receiveMs: 60, skewMs: 12, framesPerSecond: 25, packetsLost: 3 });
  connection.stats = [video(50, 3.5), audio, pair];
  expect(await peer.figures()).toMatchObject({ receiveMs: 120, width: 640, height: 480 });
  expect(await peer.figures()).toMatchObject({ receiveMs: null });
});

test("figures are null before there are media", async () => {
  expect(await made().peer.figures()).toMatchObject({ receiveMs: null, skewMs: null, width: null, packetsLost: 0 });
});

test("a peer connects, and closes once", async () => {
  const { connection, peer, end } = made();
  const connected = peer.connect();
  connection.setState("connected");
  expect(await connected).toBe(peer);
  await peer.close();
  await peer.close();
  expect(end).toHaveBeenCalledOnce();
  expect(connection.closed).toBe(true);
  expect(await peer.closed).toBeUndefined();
});

test("a server that knows of the end is not asked to delete", async () => {
  const { connection, peer, end } = made();
  const connected = peer.connect();
  connection.setState("connected");
  await connected;
  await peer.close(true);
  expect([end.mock.calls.length, connection.closed]).toEqual([0, true]);
});

test("connecting fails where ICE does, and the server is told", async () => {
  const { connection, peer, end } = made();
  const connected = peer.connect();
  connection.setState("failed");
  await expect(connected).rejects.toBeInstanceOf(PeerError);
  expect(end).toHaveBeenCalledOnce();
  expect(await peer.closed).toBeInstanceOf(PeerError);
});

test("a connection that comes back within 5 s is kept; another one is lost", async () => {
  const { connection, peer, end } = made();
  const connected = peer.connect();
  connection.setState("connected");
  await connected;
  connection.setState("disconnected");
  await vi.advanceTimersByTimeAsync(3_000);
  connection.setState("connected");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(end).not.toHaveBeenCalled();
  connection.setState("disconnected");
  await vi.advanceTimersByTimeAsync(7_000);
  expect(await peer.closed).toBeInstanceOf(PeerError);
  expect(end).toHaveBeenCalledOnce();
});

test("a signal closes a peer that is not connected yet", async () => {
  const { connection, peer, end, stop } = made();
  const connected = peer.connect();
  await Promise.resolve();
  stop.abort(new Error("enough"));
  await expect(connected).rejects.toThrow("enough");
  expect([end.mock.calls.length, connection.closed]).toEqual([1, true]);
});

test("a signal leaves an open peer alone", async () => {
  const { connection, peer, end, stop } = made();
  const connected = peer.connect();
  connection.setState("connected");
  await connected;
  stop.abort();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([end.mock.calls.length, connection.closed]).toEqual([0, false]);
});

test("watching without WebRTC is refused", async () => {
  vi.stubGlobal("MediaStream", undefined);
  await expect(watch("https://host.example/whep")).rejects.toBeInstanceOf(UnsupportedError);
});

test("publishing without tracks is refused", async () => {
  const nothing = { getTracks: () => [] } as unknown as MediaStream;
  await expect(publish("https://host.example/whip", nothing)).rejects.toThrow("nothing to publish");
});
