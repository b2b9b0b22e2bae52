/** Tests src/messages.ts against the JSON schema of the server's types: the compiler compares each message, both ways. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string;
  enum?: (string | number)[];
  anyOf?: Schema[];
  contentEncoding?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  required?: string[];
  default?: unknown;
}

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const PRIMITIVES: Record<string, string> = { integer: "number", number: "number", boolean: "boolean", string: "string", null: "null" };

/** A fresh copy, for the tests that change it. */
function readSchema(): Schema {
  return JSON.parse(readFileSync(at("../../fixtures/mytalk.v1.schema.json"), "utf8")) as Schema;
}

function resolve(root: Schema, schema: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  const found = root.$defs?.[schema.$ref.replace("#/$defs/", "")];
  if (found === undefined) throw new Error(`no ${schema.$ref} in the schema`);
  return found;
}

/** Writes a schema as the TypeScript type of what it describes once it is parsed: base64 as bytes. */
function typeOf(root: Schema, schema: Schema): string {
  const { anyOf, enum: values, type, contentEncoding, properties, additionalProperties, required = [] } = resolve(root, schema);
  if (anyOf !== undefined) return anyOf.map((one) => typeOf(root, one)).join(" | ");
  if (values !== undefined) return values.map((value) => JSON.stringify(value)).join(" | ");
  if (contentEncoding === "base64") return "Uint8Array";
  if (properties !== undefined) {
    const fields = Object.entries(properties).map(([name, field]) => {
      return `${JSON.stringify(name)}${required.includes(name) ? "" : "?"}: ${typeOf(root, withoutNull(field))}`;
    });
    return `{ ${fields.join("; ")} }`;
  }
  if (typeof additionalProperties === "object") return `Record<string, ${typeOf(root, additionalProperties)}>`;
  const primitive = PRIMITIVES[type ?? ""];
  if (primitive === undefined) throw new Error(`a schema that is not understood: ${JSON.stringify(schema)}`);
  return primitive;
}

/** Takes null from a field that is null by default: this package leaves it out instead. */
function withoutNull(field: Schema): Schema {
  if (field.default !== null || field.anyOf === undefined) return field;
  return { ...field, anyOf: field.anyOf.filter(({ type }) => type !== "null") };
}

/** Writes a module that compiles where src/messages.ts has the messages of the schema, and no others. */
function comparison(root: Schema): string {
  const lines = [
    `import type { ClientMessage, ServerMessage } from ${JSON.stringify(at("../src/messages.js"))};`,
    // Each field is there, and says whether it is optional: assignable both ways then means the same.
    "type Marked<T> = T extends Uint8Array ? T : T extends object ? { [K in keyof T]-?: Mark<T, K> } : T;",
    "type Mark<T, K extends keyof T> = {} extends Pick<T, K> ? { optional: Marked<T[K]> } : { required: Marked<T[K]> };",
    "type Within<A, B> = [A] extends [B] ? true : false;",
    "type Same<A, B> = Within<Marked<A>, Marked<B>> & Within<Marked<B>, Marked<A>>;",
  ];
  for (const side of ["ClientMessage", "ServerMessage"] as const) {
    const messages = (root.$defs?.[side]?.anyOf ?? []).map((one) => resolve(root, one));
    const names = messages.map(({ properties }) => JSON.stringify(properties?.["type"]?.enum?.[0]));
    lines.push(`export const ${side}_types: Same<${side}["type"], ${names.join(" | ") || "never"}> = true;`);
    for (const [index, message] of messages.entries()) {
      const given = `Extract<${side}, { type: ${names[index]} }>`;
      lines.push(`export const ${side}_${index}: Same<${given}, ${typeOf(root, message)}> = true;`);
    }
  }
  return lines.join("\n") + "\n";
}

/** Compiles the comparison, and returns the lines of it that are in error. */
function differences(root: Schema): string[] {
  const folder = mkdtempSync(join(tmpdir(), "mytalk-schema-"));
  try {
    const [file, code] = [join(folder, "comparison.ts"), comparison(root)];
    writeFileSync(file, code);
    const flags = ["--strict", "--exactOptionalPropertyTypes", "--module", "nodenext", "--target", "es2022", "--types", ""];
    try {
      execFileSync(process.execPath, [at("../node_modules/typescript/bin/tsc"), "--noEmit", ...flags, file], {
        cwd: folder, // no tsconfig.json there
        encoding: "utf8",
      });
      return [];
    } catch (error) {
      const output = (error as { stdout: string }).stdout;
      const found = [...output.matchAll(/comparison\.ts\((\d+),\d+\): error/g)].map(([, line]) => Number(line));
      if (found.length === 0 || output.match(/error TS/g)?.length !== found.length) throw new Error(output, { cause: error });
      return found.map((line) => code.split("\n")[line - 1] as string);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("every message and field is that of the server's types", () => {
  const schema = readSchema();
  expect(comparison(schema).split("\n").length).toBeGreaterThan(25);
  expect(differences(schema)).toEqual([]);
});

test("a difference of any kind is found", () => {
  const schema = readSchema();
  const message = (name: string) => schema.$defs?.[name] as Required<Schema>;
  message("Ping").properties["mood"] = { type: "string" }; // an optional field that is missing here
  delete message("Pong").properties["data"]; // a field that the server does not have
  message("SpeechCommitted").properties["length"] = { type: "string" };
  message("FaceLost").properties["reason"]?.enum?.push("asleep");
  message("SpeechAppend").required.push("generation");
  message("OutputChoice").required.push("form"); // within a message
  const unknown = { properties: { type: { enum: ["weather.changed"] } }, required: ["type"] };
  message("ServerMessage").anyOf.push({ type: "object", ...unknown });
  const found = differences(schema).map((line) => /"([a-z.]+)" \}>/.exec(line)?.[1] ?? "types");
  expect(found.sort()).toEqual(
    ["face.lost", "ping", "pong", "session.update", "speech.append", "speech.committed", "types", "weather.changed"],
  );
});
