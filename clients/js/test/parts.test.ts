/** Tests the small modules: samples, Opus packets, queues, listeners, and the microphone's worklet. */

import { afterEach, expect, test, vi } from "vitest";
import { codecOfInit } from "../src/media-source-player.js";
import { Listeners } from "../src/listeners.js";
import { opusSamples } from "../src/opus.js";
import { pcmBytes, pcmSamples, toPcm16 } from "../src/pcm.js";
import { codecOf } from "../src/picture-decoder.js";
import { Queue } from "../src/queue.js";
import { SendQueue } from "../src/send-queue.js";
import { abortable, sleep } from "../src/promises.js";

afterEach(() => vi.unstubAllGlobals());

test("samples survive the way to bytes and back at any offset", () => {
  const samples = Int16Array.of(0, 1, -1, 32767, -32768);
  const bytes = pcmBytes(samples);
  expect([...bytes]).toEqual([0, 0, 1, 0, 255, 255, 255, 127, 0, 128]);
  const odd = new Uint8Array(bytes.length + 1);
  odd.set(bytes, 1);
  expect(pcmSamples(odd.subarray(1))).toEqual(samples);
  expect(pcmBytes(samples.subarray(3))).toEqual(bytes.subarray(6));
});

test("samples beyond full scale are clipped", () => {
  expect([...toPcm16(Float32Array.of(-1.5, -1, 0, 1, 1.5))]).toEqual([-32768, -32767, 0, 32767, 32767]);
});

test.each([
  [[0x00], 480], // SILK, 10 ms
  [[0x1b, 0x03], 3 * 2880], // SILK, 60 ms, three
  [[0x68], 960], // hybrid, 20 ms
  [[0xe0], 120], // CELT, 2.5 ms
  [[0xf9], 1920], // CELT, 20 ms, two
])("an Opus packet %j is %i samples long", (packet, samples) => {
  expect(opusSamples(Uint8Array.from(packet))).toBe(samples);
});

test.each([[[]], [[0xfb]], [[0xfb, 0x40]]])("%j is refused as an Opus packet", (packet) => {
  expect(() => opusSamples(Uint8Array.from(packet))).toThrow(RangeError);
});

test("a full queue drops the oldest item, or fails", async () => {
  const dropping = new Queue<number>(2, "drop-oldest");
  const strict = new Queue<number>(2, "fail");
  for (const item of [1, 2, 3]) {
    dropping.push(item);
    strict.push(item);
  }
  dropping.end();
  const read: number[] = [];
  for await (const item of dropping) read.push(item);
  expect(read).toEqual([2, 3]);
  await strict.next();
  await strict.next();
  await strict.next();
  await expect(strict.next()).rejects.toThrow(RangeError);
});

test("a queue resolves its waiting reader, and reports that the reader left", async () => {
  const left = vi.fn();
  const queue = new Queue<number>(2, "fail", left);
  const next = queue.next();
  await expect(queue.next()).rejects.toThrow("being read");
  queue.push(5);
  expect(await next).toEqual({ value: 5, done: false });
  queue.push(6);
  for await (const item of queue) if (item === 6) break;
  expect(left).toHaveBeenCalledOnce();
});

test("an error of a listener stops neither the others nor the emitter", () => {
  let reported = 0;
  vi.stubGlobal("queueMicrotask", (work: () => void) => {
    expect(work).toThrow("mine");
    reported += 1;
  });
  const listeners = new Listeners<{ word: string }>();
  const heard: string[] = [];
  const stop = new AbortController();
  listeners.on("word", () => {
    throw new Error("mine");
  });
  listeners.on("word", (word) => heard.push(word), stop.signal);
  const off = listeners.on("word", (word) => heard.push(word + "!"));
  listeners.emit("word", "a");
  off();
  listeners.emit("word", "b");
  stop.abort();
  listeners.emit("word", "c");
  expect(heard).toEqual(["a", "a!", "b"]);
  expect(reported).toBe(3);
});

test("messages are kept until the server acknowledges them", () => {
  const queue = new SendQueue();
  for (const speechMs of [100, 200, 300]) queue.push({ data: String(speechMs), speechMs });
  queue.acknowledge(1);
  expect([queue.count, queue.speechMs, queue.unacknowledged().map(({ data }) => data)]).toEqual([3, 500, ["200", "300"]]);
  queue.clearSpeech();
  expect(queue.speechMs).toBe(0);
  expect(() => queue.acknowledge(0)).toThrow(RangeError);
  expect(() => queue.acknowledge(4)).toThrow(RangeError);
});

test("a pending promise rejects with the signal's reason", async () => {
  const stop = new AbortController();
  const slept = sleep(60_000, stop.signal);
  stop.abort(new Error("enough"));
  await expect(slept).rejects.toThrow("enough");
  await expect(abortable(Promise.resolve(1), stop.signal)).rejects.toThrow("enough");
  expect(await abortable(Promise.resolve(1), undefined)).toBe(1);
});

test("the codec is read from the parameter set at any place of the unit", () => {
  const unit = Uint8Array.of(0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0x8c, 0, 0, 1, 0x68);
  expect(codecOf(unit)).toBe("avc1.42c01f");
  expect(codecOf(Uint8Array.of(0, 0, 1, 0x41, 1, 2, 3))).toBeUndefined();
  const init = [...Buffer.from("....avcC"), 1, 0x42, 0xc0, 0x0d, 0xff];
  expect(codecOfInit(Uint8Array.from(init))).toBe("avc1.42c00d");
  expect(codecOfInit(Uint8Array.of(1, 2, 3))).toBeUndefined();
});

test("the worklet makes mono chunks of 20 ms from blocks of 128 samples", async () => {
  const posted: Int16Array[] = [];
  let made: (new () => { process(inputs: Float32Array[][]): boolean }) | undefined;
  vi.stubGlobal("sampleRate", 48_000);
  vi.stubGlobal("AudioWorkletProcessor", class {
    port = { postMessage: (chunk: Int16Array) => posted.push(chunk) };
  });
  vi.stubGlobal("registerProcessor", (_: string, processor: typeof made) => (made = processor));
  await import("../src/microphone-worklet.js");
  if (made === undefined) throw new Error("nothing was registered");
  const capture = new made();
  const left = Float32Array.from({ length: 4800 }, (_, index) => Math.sin(index / 10));
  const right = left.map((sample) => sample / 2);
  for (let at = 0; at < left.length; at += 128) {
    expect(capture.process([[left.subarray(at, at + 128), right.subarray(at, at + 128)]])).toBe(true);
  }
  expect(capture.process([[]])).toBe(true);
  expect(posted.map(({ length }) => length)).toEqual([960, 960, 960, 960, 960]);
  expect(Int16Array.from(posted.flatMap((chunk) => [...chunk]))).toEqual(toPcm16(left.map((sample) => 0.75 * sample)));
});
