/** Tests a running server: `MYTALK_URL=http://127.0.0.1:8080 npx vitest run test/live.test.ts`. */

import { afterEach, describe, expect, test } from "vitest";
import { BusyError, HttpError, ServerError } from "../src/errors.js";
import type { StreamEvent } from "../src/messages.js";
import "../src/node.js";
import { openNodeSocket } from "../src/node-socket.js";
import { Client, Session } from "../src/session.js";
import type { OpenSocket, Socket } from "../src/socket-types.js";
import type { Stream, StreamEvents } from "../src/stream.js";

const url = process.env["MYTALK_URL"] ?? "";
const PCM = { encoding: "pcm16", rate: 48_000 } as const;

const made: Session[] = [];

afterEach(async () => {
  for (const session of made.splice(0)) await session.end();
});

async function create(): Promise<Session> {
  const session = await new Client(url).create({ source: "portrait", speech: "stream" });
  made.push(session);
  return session;
}

/** Resolves with the stream's next event of a type; rejects where the stream is over first. */
function next<T extends keyof StreamEvents>(stream: Stream, type: T): Promise<StreamEvents[T]> {
  return new Promise((resolve, reject) => {
    const off = stream.on(type, (event) => {
      off();
      resolve(event);
    });
    void stream.closed.then(({ reason }) => reject(new Error(`no ${type}: ${reason}`)));
  });
}

/** A sweep: no two milliseconds are alike, so that its position can be found. */
function sweep(seconds: number): Int16Array {
  return Int16Array.from({ length: 48_000 * seconds }, (_, i) => 12_000 * Math.sin((i / 48_000) ** 2 * 400 + i / 200));
}

/** Returns the position of `speech` in the left channel of `heard`, or -1. */
function positionOf(speech: Int16Array, heard: Int16Array): number {
  const left = heard.filter((_, index) => index % 2 === 0);
  const last = left.length - speech.length;
  for (let at = 0; at <= last; at += 1) if (speech.every((sample, index) => sample === left[at + index])) return at;
  return -1;
}

describe.skipIf(url === "")("a server", () => {
  test("returns the speech sample by sample, with pictures", async () => {
    const session = await create();
    const stream = await session.open({ speech: PCM, output: { audio: "pcm16", video: "jpeg" } });
    const speech = sweep(1);
    expect(await stream.say(speech)).toBe(48_000);
    const { utterance, length } = await stream.commit();
    expect([utterance, length]).toEqual([1, 16_000]);
    const sounds: Uint8Array[] = [];
    let pictures = 0;
    let ended: StreamEvent | undefined;
    void stream.finished(utterance).then((event) => (ended = event));
    for await (const { kind, data } of stream.media()) {
      if (kind === "audio") sounds.push(data);
      else pictures += 1;
      if (ended !== undefined && sounds.length > 60) break;
    }
    expect(ended).toMatchObject({ position: 16_000, interrupted: false });
    expect(pictures).toBeGreaterThan(5);
    expect(positionOf(speech, new Int16Array(Uint8Array.from(Buffer.concat(sounds)).buffer))).toBeGreaterThanOrEqual(0);
    await stream.end();
    expect(await stream.closed).toEqual({ reason: "its client ended it" });
  });

  test("loses nothing over cuts", async () => {
    const sockets: (Socket & { cut?: () => void })[] = [];
    const cuttable: OpenSocket = async (to, token, events) => {
      let isCut = false;
      const socket = await openNodeSocket(to, token, {
        message: (data) => isCut || events.message(data),
        closed: (code) => isCut || events.closed(code),
      });
      const cut = () => {
        isCut = true;
        (socket as unknown as { stream: { destroy(): void } }).stream.destroy();
        events.closed(1006);
      };
      sockets.push({ send: (data) => socket.send(data), close: (code) => socket.close(code), cut });
      return sockets.at(-1) as Socket;
    };
    const session = await create();
    const stream = await session.open({ speech: PCM, output: { audio: "pcm16" }, socket: cuttable });
    const speech = sweep(2);
    const sounds: Uint8Array[] = [];
    stream.on("media", ({ data }) => sounds.push(data));
    for (let at = 0; at < speech.length; at += 24_000) {
      await stream.say(speech.subarray(at, at + 24_000));
      await next(stream, "media"); // this connection carries the stream
      const resumed = next(stream, "connection").then(() => next(stream, "connection"));
      sockets.at(-1)?.cut?.();
      expect(await resumed).toBe("open");
    }
    const { utterance } = await stream.commit();
    expect(await stream.finished(utterance)).toMatchObject({ position: 32_000, interrupted: false });
    expect(positionOf(speech, new Int16Array(Uint8Array.from(Buffer.concat(sounds)).buffer))).toBeGreaterThanOrEqual(0);
    expect(sockets.length).toBe(5);
    stream.close();
  });

  test("is interrupted, and accepts other controls", async () => {
    const session = await create();
    const stream = await session.open({ speech: PCM, controls: { mouth_opening: 0.5 } });
    expect((await stream.created).disclosure).toContain("synthetic");
    await stream.say(sweep(5));
    for await (const event of stream) if (event.type === "playback.started") break;
    expect(await stream.clear()).toMatchObject({ interrupted: true, generation: 1, utterance: 1 });
    await stream.say(sweep(0.2));
    const { utterance } = await stream.commit();
    expect(await stream.finished(utterance)).toMatchObject({ position: 3200, interrupted: false, utterance: 2 });
    expect((await stream.update({ controls: { steps: 2 } })).controls).toMatchObject({ mouth_opening: 0.5, steps: 2 });
    await expect(stream.update({ controls: { hairstyle: 1 } })).rejects.toMatchObject({ code: "unknown_control" });
    stream.close();
  });

  test("refuses with error codes", async () => {
    const session = await create();
    const stranger = { ...session.description, token: "wrong" };
    await expect(new Session(stranger, url).open()).rejects.toBeInstanceOf(ServerError);
    await expect(new Session(stranger, url).state()).rejects.toMatchObject({ name: "ForbiddenError", status: 403 });
    await expect(new Client(url).create({ source: "cat" as "live" })).rejects.toBeInstanceOf(HttpError);
    const rest = create().then(create).then(create).then(create);
    await expect(rest).rejects.toBeInstanceOf(BusyError);
  });
});
