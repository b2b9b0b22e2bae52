// What the package weighs in a browser: all of it in one module, minified, and as gzip and brotli send it.

import { brotliCompressSync, gzipSync } from "node:zlib";
import { bundle, worklet } from "./bundle.mjs";

const rows = { "mytalk-client, all of it": await bundle(true), "microphone-worklet.js": worklet() };
console.log(`${"".padEnd(26)}${["minified", "gzip", "brotli"].map((name) => name.padStart(10)).join("")}`);
for (const [name, code] of Object.entries(rows)) {
  const sizes = [Buffer.byteLength(code), gzipSync(code, { level: 9 }).length, brotliCompressSync(code).length];
  console.log(name.padEnd(26) + sizes.map((size) => `${(size / 1024).toFixed(1)} kB`.padStart(10)).join(""));
}
