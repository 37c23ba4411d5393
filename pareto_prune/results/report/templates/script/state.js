/** What the reader has chosen, and who is told when that changes. */

import { costs } from "./study.js";

export const PAGE_ROWS = 200;

export const state = {
  bounds: new Map(), every: false, relative: false, log: true, whole: false, three: false,
  x: costs[0], colour: costs[1] ?? null, chosen: null, sort: null, down: false,
  rows: PAGE_ROWS, theme: null, printing: false,
};

let waiting = false;
const choosing = [];
const changing = [];

/** Have ``act`` called at once when another trial is chosen. */
export const whenChosen = (act) => choosing.push(act);
/** Have ``act`` called, once a frame, when what is shown has changed. */
export const whenChanged = (act) => changing.push(act);

export function choose(number) {
  state.chosen = number;
  for (const act of choosing) act();
  changed();
}

export function changed() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; for (const act of changing) act(); });
}
