/** Tests that no modules import each other in a circle, be it for a type or at run time. */

import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";

type Graph = Map<string, string[]>;

/** Maps each module of a folder to those of the folder that it imports: `from "./x"`, `import("./x")`, `import "./x"`. */
function imports(folder: string, extension: string): Graph {
  const url = new URL(folder, import.meta.url);
  const files = readdirSync(url).filter((name) => name.endsWith(extension));
  const graph: Graph = new Map();
  for (const file of files) {
    const source = readFileSync(new URL(file, url), "utf8");
    const found = source.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)["']\.\/([\w-]+)\.js["']/g);
    graph.set(basename(file, extension), [...found].map(([, name]) => name as string));
  }
  return graph;
}

/** Finds a circle by a depth-first walk, and returns the names along it. */
function circle(graph: Graph): string[] | undefined {
  const done = new Set<string>();
  const walk = (name: string, path: string[]): string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const next of graph.get(name) ?? []) {
      const found = walk(next, [...path, name]);
      if (found !== undefined) return found;
    }
    done.add(name);
    return undefined;
  };
  for (const name of graph.keys()) {
    const found = walk(name, []);
    if (found !== undefined) return found;
  }
  return undefined;
}

test.each([
  ["../src/", ".ts", "stream", "connection"],
  ["../../../streamer/page/", ".js", "stats", "session"],
])("the modules of %s import in no circle", (folder, extension, importer, imported) => {
  const graph = imports(folder, extension);
  expect(graph.get(importer)).toContain(imported); // for types alone
  expect(circle(graph)).toBeUndefined();
});

test("a circle is found, however long", () => {
  const graph: Graph = new Map([["a", ["b", "d"]], ["b", ["c"]], ["c", ["d", "b"]], ["d", []]]);
  expect(circle(graph)).toEqual(["b", "c", "b"]);
  graph.set("c", ["d"]);
  expect(circle(graph)).toBeUndefined();
  graph.set("d", ["d"]);
  expect(circle(graph)).toEqual(["d", "d"]);
});
