/** Tests the codec against the fixtures that the server and both client libraries share. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fromBase64, toBase64 } from "../src/base64.js";
import { isCounted, parseServer, toText } from "../src/codec.js";
import { ProtocolError } from "../src/errors.js";
import type { ClientMessage, ServerMessage } from "../src/messages.js";
import { packSpeech } from "../src/packets.js";

interface Row {
  name: string;
  message: Record<string, unknown> & { type: string };
}

interface PacketRow {
  name: string;
  from: "client" | "server";
  kind: number;
  flags: number;
  generation: number;
  pts: number;
  payload_hex: string;
  hex: string;
}

function fixture<T>(name: string): T[] {
  return JSON.parse(readFileSync(new URL(`../../fixtures/${name}.json`, import.meta.url), "utf8")) as T[];
}

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));
const timed = fixture<PacketRow | (Row & { from: "client" | "server" })>("timed");
const packets = [...fixture<PacketRow>("packets"), ...timed.filter((row) => "hex" in row)];
const messages = (from: "client" | "server") => [
  ...fixture<Row>(`${from}_messages`),
  ...timed.filter((row) => "message" in row && row.from === from),
] as Row[];

describe("text", () => {
  test.each(messages("server"))("the server's: $name", ({ message }) => {
    const parsed = parseServer(JSON.stringify(message));
    expect(parsed.type).toBe(message.type);
    expect(JSON.parse(toText(parsed))).toEqual(message);
  });

  test.each(messages("client"))("the client's: $name", ({ message }) => {
    const typed: ClientMessage =
      message.type === "speech.append"
        ? { ...message, type: "speech.append", audio: fromBase64(message["audio"] as string) }
        : (message as unknown as ClientMessage);
    expect(JSON.parse(toText(typed))).toEqual(message);
  });

  test("the fixtures hold every message of this package", () => {
    const inFixtures = new Set(messages("server").map(({ message }) => message.type));
    const known: Record<ServerMessage["type"], true> = {
      "session.created": true,
      "session.resumed": true,
      "session.updated": true,
      "session.ended": true,
      "speech.committed": true,
      "speech.dropped": true,
      "speech.late": true,
      "face.lost": true,
      "face.found": true,
      "face.changed": true,
      warning: true,
      "camera.left": true,
      "camera.back": true,
      "playback.started": true,
      "playback.finished": true,
      "output.dropped": true,
      media: true,
      error: true,
      ack: true,
      pong: true,
    };
    expect(inFixtures).toEqual(new Set(Object.keys(known)));
  });

  test("an unknown type is refused as such, and an unknown field kept", () => {
    expect(() => parseServer('{"type":"weather.changed"}')).toThrow(
      expect.objectContaining({ name: "ProtocolError", code: "unknown_type" }),
    );
    expect(parseServer('{"type":"pong","data":"1","mood":"calm"}')).toMatchObject({ type: "pong", data: "1" });
  });

  test.each([
    ["", "bad_json"],
    ["[1]", "bad_message"],
    ["null", "bad_message"],
    ['{"type":7}', "unknown_type"],
    ['{"type":"toString"}', "unknown_type"],
    ['{"type":"ack","received":-1,"buffered_ms":0}', "bad_message"],
    ['{"type":"ack","received":9007199254740992,"buffered_ms":0}', "bad_message"],
    ['{"type":"media","kind":"audio","generation":0,"pts":0,"data":"@@@"}', "bad_message"],
    ['{"type":"session.created","session_id":"x"}', "bad_message"],
  ])("%s is refused as %s", (data, code) => {
    expect(() => parseServer(data)).toThrow(expect.objectContaining({ code }));
  });

  test("messages that resuming does not repeat are not counted", () => {
    expect(["session.created", "session.resumed", "ping", "pong", "ack"].filter(isCounted)).toEqual([]);
    expect(["media", "error", "session.updated", "weather.changed"].every(isCounted)).toBe(true);
  });
});

describe("packets", () => {
  test.each(packets.filter(({ from }) => from === "client"))("the client's: $name", (row) => {
    const encoding = row.kind === 1 ? "pcm16" : "opus";
    const packed = packSpeech({ ...row, encoding, payload: bytes(row.payload_hex), timed: row.flags === 4 });
    expect(Buffer.from(packed).toString("hex")).toBe(row.hex);
  });

  test.each(packets.filter(({ from }) => from === "server"))("the server's: $name", (row) => {
    expect(parseServer(bytes(row.hex))).toEqual({
      type: "media",
      kind: { 16: "audio", 17: "h264", 18: "jpeg", 19: "fmp4", 20: "png", 21: "webp" }[row.kind],
      generation: row.generation,
      pts: row.pts,
      keyframe: (row.flags & 1) !== 0,
      init: (row.flags & 2) !== 0,
      data: bytes(row.payload_hex),
    });
  });

  const malformed = fixture<{ name: string; hex?: string }>("malformed");

  test.each(malformed.filter(({ name, hex }) => hex !== undefined && name !== "a kind of the server"))(
    "refused from a server: $name",
    ({ hex }) => {
      expect(() => parseServer(bytes(hex ?? ""))).toThrow(ProtocolError);
    },
  );

  test.each([
    { pts: -1, generation: 0 },
    { pts: 2 ** 53, generation: 0 },
    { pts: 0.5, generation: 0 },
    { pts: 0, generation: 2 ** 32 },
    { pts: 0, generation: -1 },
  ])("a packet cannot hold pts $pts, generation $generation", (numbers) => {
    expect(() => packSpeech({ ...numbers, encoding: "pcm16", payload: new Uint8Array(2) })).toThrow(RangeError);
  });
});

test("base64 keeps all byte values, and many bytes", () => {
  const all = Uint8Array.from({ length: 100_000 }, (_, index) => index & 255);
  expect(toBase64(all)).toBe(Buffer.from(all).toString("base64"));
  expect(Buffer.compare(fromBase64(toBase64(all)), all)).toBe(0);
});
