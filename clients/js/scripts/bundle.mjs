// One module of all of dist, for the demo page: `npm run bundle` writes it, `npm run bundle -- --check` compares.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const BUILT = "../../../streamer/page/built/";
const HEAD = "// Made from clients/js by `npm run build && npm run bundle`. Change it there.\n";

/** The package as one module. `minify`: as a site would ship it. */
export async function bundle(minify = false) {
  const bundled = await rolldown({
    input: at("../dist/index.js"),
    treeshake: { moduleSideEffects: false },
  });
  try {
    const { output } = await bundled.generate({ format: "es", minify, comments: { legal: false } });
    return output[0].code;
  } finally {
    await bundled.close();
  }
}

export const worklet = () => readFileSync(at("../dist/microphone-worklet.js"), "utf8");

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = { "mytalk-client.js": HEAD + (await bundle()), "microphone-worklet.js": HEAD + worklet() };
  for (const [name, code] of Object.entries(files)) {
    const path = at(BUILT + name);
    if (!process.argv.includes("--check")) writeFileSync(path, code);
    else if (readFileSync(path, "utf8") !== code) {
      console.error(`streamer/page/built/${name} is not what clients/js makes (npm run build && npm run bundle)`);
      process.exitCode = 1;
    }
  }
}
