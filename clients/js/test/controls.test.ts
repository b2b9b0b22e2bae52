/** Tests that the types name every control of the server's table. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Controls } from "../src/session.js";

const EVERY: Required<Controls> = {
  ...{ seed: 0, steps: 1, face: "largest", on_silence: "close", mouth_opening: 1, motion_scale: 1, lip_weight: 1 },
  ...{ expression_weight: 1, pose_weight: 1, articulation: 0.5, emotion: "neutral", intensity: 1, key_motions: "none" },
  ...{ head_pose: "0,0,0,0,0", pose_preset: "calm", pose_rhythm: 1, gaze: "0,0", blink: "now", brows: 0 },
};

test("the types name every control of the table, and no other", () => {
  const table = JSON.parse(readFileSync(new URL("../../fixtures/controls.json", import.meta.url), "utf8")) as { name: string }[];
  expect(Object.keys(EVERY).sort()).toEqual(table.map(({ name }) => name).sort());
});
