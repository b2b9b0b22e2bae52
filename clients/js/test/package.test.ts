/** Tests the package as a program installs it: bundled for browsers, loaded in Node, and its types without DOM. */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const tsc = (...options: string[]) =>
  execFileSync(process.execPath, [at("../node_modules/typescript/bin/tsc"), ...options], { cwd: folder, encoding: "utf8" });

let folder = "";

/** A program beside an installed copy of the package. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mytalk-package-"));
  const installed = join(folder, "node_modules", "mytalk-client");
  mkdirSync(join(installed, "dist"), { recursive: true });
  mkdirSync(join(folder, "node_modules", "@types"));
  symlinkSync(at("../node_modules/@types/node"), join(folder, "node_modules", "@types", "node"));
  symlinkSync(at("../node_modules/undici-types"), join(folder, "node_modules", "undici-types"));
  copyFileSync(at("../package.json"), join(installed, "package.json"));
  tsc("-p", at(".."), "--outDir", join(installed, "dist"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "program.js"), PROGRAM);
  writeFileSync(join(folder, "program.ts"), TYPED_PROGRAM);
});

afterAll(() => rmSync(folder, { recursive: true }));

const PROGRAM = `
import { Client, decodesH264, Stream } from "mytalk-client";
globalThis.found = [Client, Stream, decodesH264].map((one) => typeof one).join();
`;

const TYPED_PROGRAM = `
import { Client, type StreamEvent } from "mytalk-client";
export async function speak(samples: Uint8Array): Promise<StreamEvent["type"][]> {
  const session = await new Client("http://127.0.0.1:8080").create({ source: "portrait" });
  const stream = await session.open({ speech: { encoding: "pcm16", rate: 24_000 } });
  await stream.say(samples);
  const types: StreamEvent["type"][] = [];
  for await (const { type } of stream) types.push(type);
  return types;
}
`;

/** Each bundles program.js for a browser, and returns the code. */
const bundlers: Record<string, () => Promise<string>> = {
  async esbuild() {
    const { build } = await import("esbuild");
    const options = { bundle: true, format: "esm", platform: "browser", write: false, logLevel: "silent" } as const;
    const { outputFiles } = await build({ ...options, entryPoints: [join(folder, "program.js")] });
    return outputFiles.map(({ text }) => text).join("");
  },
  async webpack() {
    const { default: webpack } = await import("webpack");
    const output = { path: folder, filename: "webpacked.js" };
    const compiler = webpack({ mode: "none", target: "web", context: folder, entry: "./program.js", output });
    await new Promise<void>((resolve, reject) => {
      compiler?.run((error, stats) => {
        if (error !== null || stats?.hasErrors()) reject(error ?? new Error(stats?.toString("errors-only")));
        else compiler.close(() => resolve());
      });
    });
    return readFileSync(join(folder, "webpacked.js"), "utf8");
  },
  async vite() {
    const { build } = await import("vite");
    const rolldownOptions = { input: join(folder, "program.js") };
    const built = await build({ root: folder, configFile: false, logLevel: "silent", build: { write: false, rolldownOptions } });
    if (!("output" in built)) throw new Error("not one bundle");
    return built.output.map((file) => ("code" in file ? file.code : "")).join("");
  },
};

test.each(Object.keys(bundlers))("%s bundles it for browsers, without a module of Node", async (name) => {
  const code = await (bundlers[name] as () => Promise<string>)();
  expect(code).not.toMatch(/["']node:|258EAFA5/); // the GUID of RFC 6455, which only the socket of Node needs
  expect(code).toContain("mytalk.v1");
});

test("Node loads the entry point with a WebSocket of its own", () => {
  const script = 'await import("./program.js"); console.log(found, import.meta.resolve("mytalk-client"));';
  const printed = execFileSync(process.execPath, ["--input-type=module", "-e", script], { cwd: folder, encoding: "utf8" });
  expect(printed).toMatch(/^function,function,function .*\/dist\/node\.js\n$/);
});

test("its types compile in a program for Node without DOM", () => {
  const flags = ["--noEmit", "--strict", "--target", "es2023", "--lib", "es2023", "--module", "nodenext", "--types", "node"];
  expect(tsc(...flags, "program.ts")).toBe("");
});
