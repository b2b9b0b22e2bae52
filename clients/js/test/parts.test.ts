/** The small parts: samples, packets of Opus, queues, listeners, and the worklet that makes chunks of a microphone. */

import { afterEach, expect, test, vi } from "vitest";
import { codecOfInit } from "../src/media-source-player.js";
import { Listeners } from "../src/listeners.js";
import { opusSamples } from "../src/opus.js";
import { pcmBytes, pcmSamples, toPcm16 } from "../src/pcm.js";
import { codecOf } from "../src/picture-decoder.js";
import { Queue } from "../src/queue.js";
import { Sent } from "../src/sent.js";
import { abortable, sleep } from "../src/waiting.js";

afterEach(() => vi.unstubAllGlobals());

test("samples go to bytes and back, wherever they lie in memory", () => {
  const samples = Int16Array.of(0, 1, -1, 32767, -32768);
  const bytes = pcmBytes(samples);
  expect([...bytes]).toEqual([0, 0, 1, 0, 255, 255, 255, 127, 0, 128]);
  const odd = new Uint8Array(bytes.length + 1);
  odd.set(bytes, 1);
  expect(pcmSamples(odd.subarray(1))).toEqual(samples);
  expect(pcmBytes(samples.subarray(3))).toEqual(bytes.subarray(6));
});

test("what is too loud is as loud as can be", () => {
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

test.each([[[]], [[0xfb]], [[0xfb, 0x40]]])("%j is no Opus packet", (packet) => {
  expect(() => opusSamples(Uint8Array.from(packet))).toThrow(RangeError);
});

test("a queue forgets, or fails, as it was made", async () => {
  const forgetful = new Queue<number>(2, "forget");
  const strict = new Queue<number>(2, "fail");
  for (const item of [1, 2, 3]) {
    forgetful.push(item);
    strict.push(item);
  }
  forgetful.end();
  const read: number[] = [];
  for await (const item of forgetful) read.push(item);
  expect(read).toEqual([2, 3]);
  await strict.next();
  await strict.next();
  await strict.next();
  await expect(strict.next()).rejects.toThrow(RangeError);
});

test("a queue wakes its reader, and tells when the reader leaves", async () => {
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

test("a listener that fails stops neither the others nor us", () => {
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

test("what was sent is kept until the server has it", () => {
  const sent = new Sent();
  for (const speech of [100, 200, 300]) sent.put({ data: String(speech), speech });
  sent.acknowledge(1);
  expect([sent.count, sent.speech, sent.rest().map(({ data }) => data)]).toEqual([3, 500, ["200", "300"]]);
  sent.hush();
  expect(sent.speech).toBe(0);
  expect(() => sent.acknowledge(0)).toThrow(RangeError);
  expect(() => sent.acknowledge(4)).toThrow(RangeError);
});

test("waiting ends with the signal's reason", async () => {
  const stop = new AbortController();
  const slept = sleep(60_000, stop.signal);
  stop.abort(new Error("enough"));
  await expect(slept).rejects.toThrow("enough");
  await expect(abortable(Promise.resolve(1), stop.signal)).rejects.toThrow("enough");
  expect(await abortable(Promise.resolve(1), undefined)).toBe(1);
});

test("the codec is read from the parameter set, wherever it is in the unit", () => {
  const unit = Uint8Array.of(0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1f, 0x8c, 0, 0, 1, 0x68);
  expect(codecOf(unit)).toBe("avc1.42c01f");
  expect(codecOf(Uint8Array.of(0, 0, 1, 0x41, 1, 2, 3))).toBeUndefined();
  const init = [...Buffer.from("....avcC"), 1, 0x42, 0xc0, 0x0d, 0xff];
  expect(codecOfInit(Uint8Array.from(init))).toBe("avc1.42c00d");
  expect(codecOfInit(Uint8Array.of(1, 2, 3))).toBeUndefined();
});

test("the worklet makes 20 ms of mono of whatever blocks it gets", async () => {
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
