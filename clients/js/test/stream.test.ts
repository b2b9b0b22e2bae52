/** Tests a stream against a fake server on loopback, over both kinds of socket. */

import { afterEach, describe, expect, test } from "vitest";
import { WebSocket as ThirdPartyWebSocket } from "ws";
import { DisconnectedError, ProtocolError, ServerError } from "../src/errors.js";
import type { StreamEvent } from "../src/messages.js";
import "../src/node.js";
import { openNodeSocket } from "../src/node-socket.js";
import type { OpenSocket } from "../src/socket-types.js";
import { Stream, type StreamOptions } from "../src/stream.js";
import { FakeServer, defaultAnswer, media } from "./fake-server.js";

const PCM = { encoding: "pcm16", rate: 16_000 } as const;

const open: { server: FakeServer; stream: Stream }[] = [];

afterEach(async () => {
  for (const { stream, server } of open.splice(0)) {
    stream.close();
    await server.close();
  }
});

async function begin(options: StreamOptions = {}, server = new FakeServer()) {
  const stream = await Stream.open(await server.listen(), "secret", { speech: PCM, ...options });
  open.push({ server, stream });
  return { server, stream };
}

const ramp = (length: number, from = 0) => Int16Array.from({ length }, (_, index) => ((index + from) % 60_000) - 30_000);

/** The `ws` package in place of the platform's WebSocket: its events are the same. */
const browserLike: OpenSocket = async (url, token, events) => {
  const known = globalThis.WebSocket;
  globalThis.WebSocket = ThirdPartyWebSocket as unknown as typeof WebSocket;
  try {
    return await (await import("../src/socket.js")).openSocket(url, token, events);
  } finally {
    globalThis.WebSocket = known;
  }
};

describe.each([
  ["a browser's socket", browserLike],
  ["our socket over node:http", openNodeSocket],
])("%s", (_, socket) => {
  test("the token is sent in a header, never in the URL", async () => {
    const { server } = await begin({ socket });
    const { url, headers } = server.requests[0] as { url?: string; headers: Record<string, string> };
    expect(url).toBe("/v1/sessions/x/stream");
    expect([headers["authorization"], headers["sec-websocket-protocol"]]).toContain(
      socket === openNodeSocket ? "Bearer secret" : "mytalk.v1,mytalk.token.secret",
    );
  });

  test("speech arrives complete, and a request is answered", async () => {
    const { server, stream } = await begin({ socket });
    const speech = ramp(50_000);
    expect(await stream.say(speech)).toBe(50_000);
    expect(await stream.commit()).toMatchObject({ type: "speech.committed", utterance: 1 });
    expect(server.speech()).toEqual(speech);
  });

  test("messages of every size arrive complete", async () => {
    const { server, stream } = await begin({ socket });
    const seen = stream.media();
    for (const length of [1, 125, 126, 65_519, 65_520, 300_000]) {
      const payload = Buffer.alloc(length, length & 255);
      server.send(media(18, length, payload, 1));
      const { value } = await seen.next();
      expect(value).toMatchObject({ kind: "jpeg", pts: length, keyframe: true });
      expect(Buffer.compare(value.data, payload)).toBe(0);
    }
  });

  test("a cut loses nothing, either way", async () => {
    const { server, stream } = await begin({ socket });
    const states: string[] = [];
    stream.on("connection", (state) => states.push(state));
    const seen = stream.media();
    const speech = ramp(40_000);
    server.cutAfter = 7;
    for (let at = 0; at < speech.length; at += 8000) {
      server.send(media(16, at, Buffer.from("sound")));
      await stream.say(speech.subarray(at, at + 8000));
    }
    await stream.commit();
    expect(server.speech()).toEqual(speech);
    expect(server.connections).toBeGreaterThan(2);
    for (let at = 0; at < speech.length; at += 8000) expect((await seen.next()).value).toMatchObject({ pts: at });
    expect(states.filter((state) => state === "resuming").length).toBe(server.connections - 1);
  });
});

test("a clear ends a pending say, and the next speech begins at 0", async () => {
  const { server, stream } = await begin({ aheadMs: 1000 });
  const first = stream.say(ramp(16_000 * 60));
  await server.until(() => server.packets.length >= 8);
  const heard = stream.clear();
  expect(await first).toBeLessThan(16_000 * 3);
  expect(await heard).toMatchObject({ interrupted: true, generation: 1 });
  await stream.say(ramp(3200, 5));
  await stream.commit();
  expect(server.speech(1)).toEqual(ramp(3200, 5));
});

test("a clear by another client ends a pending say too", async () => {
  const { server, stream } = await begin({ aheadMs: 500 });
  const first = stream.say(ramp(160_000));
  await server.until(() => server.packets.length >= 5);
  server.send({ type: "playback.finished", position: 0, interrupted: true, generation: 1 });
  expect(await first).toBeLessThan(160_000);
  await stream.say(ramp(1600));
  await stream.commit();
  expect(server.speech(1)).toEqual(ramp(1600));
});

test("speech is sent at most aheadMs ahead, and goes on as it is heard", async () => {
  const { server, stream } = await begin({ aheadMs: 1000 });
  const said = stream.say(ramp(64_000));
  await server.until(() => server.packets.length >= 11);
  await stream.update({ controls: { steps: 2 } }); // what was sent before it has come
  expect(server.packets.length).toBe(11);
  server.bufferedMs = 500;
  server.ack();
  await server.until(() => server.packets.length > 11);
  server.bufferedMs = 0;
  while (server.packets.length < 40) {
    const before = server.packets.length;
    server.ack();
    await server.until(() => server.packets.length > before);
  }
  expect(await said).toBe(64_000);
});

test("floats and stereo are sent as 16 bit", async () => {
  const { server, stream } = await begin({ speech: { ...PCM, channels: 2 } });
  await stream.say(Float32Array.of(0, 1, -1, 2, -2, 0.5));
  await stream.commit();
  expect([...new Int16Array(Uint8Array.from(server.packets[0]?.payload ?? []).buffer)]).toEqual([
    0, 32767, -32767, 32767, -32768, 16384,
  ]);
  await expect(stream.say(new Int16Array(3))).rejects.toThrow("channels");
});

test("bytes are sent as 16-bit PCM, in parts of whole samples", async () => {
  const { server, stream } = await begin({ speech: { ...PCM, channels: 2 } });
  const speech = ramp(10_000);
  const odd = new Uint8Array(2 * speech.length + 1); // bytes of a TTS may begin anywhere in memory
  odd.set(new Uint8Array(speech.buffer), 1);
  expect(await stream.say(odd.subarray(1))).toBe(5_000);
  await stream.commit();
  expect(Buffer.concat(server.packets.map(({ payload }) => payload))).toEqual(Buffer.from(speech.buffer));
  expect(server.packets.map(({ pts }) => pts)).toEqual([0, 1600, 3200, 4800]);
  await expect(stream.say(new Uint8Array(6))).rejects.toThrow("6 bytes of 16-bit PCM (need a multiple of 4");
});

test("samples are refused where the format is Opus", async () => {
  const { stream } = await begin({ speech: { encoding: "opus", rate: 48_000 } });
  await expect(stream.say(new Int16Array(960))).rejects.toThrow("need a Uint8Array");
});

test("speech for a picture carries its media time, and does not move the position", async () => {
  const { server, stream } = await begin();
  await stream.say(ramp(3200), { at: 32_000 });
  await stream.say(ramp(1600));
  await stream.commit();
  expect(server.packets.map(({ flags, pts }) => [flags, pts])).toEqual([
    [4, 32_000],
    [4, 33_600],
    [0, 0],
  ]);
});

test("Opus packets carry their position in samples", async () => {
  const { server, stream } = await begin({ speech: { encoding: "opus", rate: 48_000 } });
  for (const toc of [0xf8, 0x08, 0xfb]) await stream.say(Uint8Array.of(toc, 2, 3)); // 20 ms, 20 ms, 2 x 20 ms
  await stream.say(Uint8Array.of(0xf8));
  await stream.commit();
  expect(server.packets.map(({ kind, pts }) => [kind, pts])).toEqual([
    [2, 0],
    [2, 960],
    [2, 1920],
    [2, 3840],
  ]);
});

test("iteration gives the events in order, and ends with the session", async () => {
  const { server, stream } = await begin();
  server.send({ type: "playback.started", utterance: 1, pts: 5, generation: 0 });
  server.send({ type: "weather.changed" });
  server.send({ type: "ack", received: server.received, buffered_ms: 0 });
  server.send({ type: "playback.finished", utterance: 1, position: 9, interrupted: false, generation: 0 });
  server.send({ type: "session.ended", reason: "deleted by its client" });
  server.closeWith(1000);
  const events: StreamEvent[] = [];
  for await (const event of stream) events.push(event);
  expect(events.map(({ type }) => type)).toEqual([
    "session.created",
    "session.updated",
    "playback.started",
    "playback.finished",
    "session.ended",
  ]);
  expect(await stream.closed).toEqual({ reason: "deleted by its client" });
  expect(await stream.finished(1)).toMatchObject({ position: 9 });
});

test("an error rejects the request that caused it; the stream goes on", async () => {
  const server = new FakeServer((message, self) =>
    message.type === "session.update" && message["controls"] !== undefined
      ? { type: "error", code: "unknown_control", message: "no hairstyle", fatal: false }
      : defaultAnswer(message, self),
  );
  const { stream } = await begin({}, server);
  const refused = stream.update({ controls: { hairstyle: 1 } });
  await expect(refused).rejects.toMatchObject({ name: "ServerError", code: "unknown_control", fatal: false });
  await expect(refused).rejects.toBeInstanceOf(ServerError);
  await stream.say(ramp(1600));
  expect(await stream.commit()).toMatchObject({ utterance: 1 });
});

test("say throws after the server refused speech, until a clear", async () => {
  const { server, stream } = await begin({ aheadMs: 100 });
  const said = stream.say(ramp(160_000));
  await server.until(() => server.packets.length > 0);
  server.send({ type: "error", code: "speech_overflow", message: "59.5 s of speech wait", fatal: false });
  await expect(said).rejects.toMatchObject({ name: "ServerError", code: "speech_overflow" });
  await expect(stream.say(ramp(160))).rejects.toMatchObject({ code: "speech_overflow" });
  await stream.clear();
  expect(await stream.say(ramp(1600))).toBe(1600);
  await stream.commit();
  expect(server.speech(1)).toEqual(ramp(1600));
});

test("opening fails with the error of the server", async () => {
  const server = new FakeServer();
  server.refuse = { type: "error", code: "forbidden", message: "the token is not this session's", fatal: true };
  const opening = Stream.open(await server.listen(), "wrong");
  await expect(opening).rejects.toMatchObject({ name: "ServerError", code: "forbidden", fatal: true });
  await server.close();
});

test("opening fails where no server listens", async () => {
  const opening = Stream.open("ws://127.0.0.1:9/v1/sessions/x/stream", "secret", { socket: openNodeSocket });
  await expect(opening).rejects.toBeInstanceOf(DisconnectedError);
});

test("a stream that cannot be resumed rejects all that is pending", async () => {
  const { server, stream } = await begin({ aheadMs: 100 });
  const said = stream.say(ramp(160_000));
  const loop = (async () => {
    for await (const event of stream) void event;
  })();
  await server.until(() => server.packets.length > 0);
  server.refuse = { type: "error", code: "cannot_resume", message: "begin anew", fatal: true };
  server.cut();
  await expect(said).rejects.toMatchObject({ code: "cannot_resume" });
  await expect(loop).rejects.toMatchObject({ code: "cannot_resume" });
  expect((await stream.closed).error).toBeInstanceOf(ServerError);
  await expect(stream.commit()).rejects.toMatchObject({ code: "cannot_resume" });
});

test("resuming ends after resume_ms", async () => {
  const server = new FakeServer();
  server.resumeMs = 300;
  const { stream } = await begin({}, server);
  await server.close();
  expect((await stream.closed).error).toMatchObject({ name: "DisconnectedError", closeCode: 1006 });
});

test("a close with a final code is not resumed", async () => {
  const { server, stream } = await begin();
  server.closeWith(1013);
  expect((await stream.closed).error).toMatchObject({ closeCode: 1013 });
  expect(server.connections).toBe(1);
});

test("an invalid message ends the stream", async () => {
  const { server, stream } = await begin();
  server.send(Buffer.from("noise"));
  expect((await stream.closed).error).toBeInstanceOf(ProtocolError);
});

test("a signal rejects what is pending with its reason", async () => {
  const { stream } = await begin({ aheadMs: 100 });
  const patience = new AbortController();
  const said = stream.say(ramp(160_000), { signal: patience.signal });
  patience.abort(new Error("enough"));
  await expect(said).rejects.toThrow("enough");
  const stop = new AbortController();
  const never = new FakeServer(() => void stop.abort(new Error("asked, and not answered")));
  const opening = Stream.open(await never.listen(), "secret", { speech: PCM, signal: stop.signal });
  await expect(opening).rejects.toThrow("not answered");
  await never.close();
});

test("a signal closes an open stream", async () => {
  const end = new AbortController();
  const { stream } = await begin({ signal: end.signal });
  end.abort();
  expect(await stream.closed).toEqual({ reason: "closed by this side" });
});
