/** Where the names of points stand in the plot in two dimensions, and how far its axes go. */

import { place } from "./axes.js";
import { $ } from "./elements.js";
import { denseFits, fits, visible } from "./filters.js";
import { state } from "./state.js";
import { metric, V } from "./study.js";

const SCALE_BAR = 110, PER_LETTER = 6.6, TALL = 16;

/** The ends of an axis: all that is drawn, with a margin. */
export function spanOf(i) {
  const drawn = [...visible(), ...V.references.filter(fits), ...(denseFits() ? [V.dense] : [])];
  const values = drawn.flatMap((p) => [p.values[i], ...(p.front ? [p.low[i], p.high[i]] : [])])
    .filter((v) => v != null).map((v) => place(i, v)).filter(Number.isFinite);
  if (!values.length) return [0, 1];
  const low = Math.min(...values), high = Math.max(...values);
  const margin = 0.05 * (high - low) || 0.05 * Math.abs(high) || 1;
  return [low - margin, high + margin];
}

/** Beside the point, then farther and farther above and below it. */
const OFFSETS = [[10, 14], [-10, 14], [10, -14], [-10, -14], [14, 0], [-14, 0],
  ...[34, 54, 74, 94, 114, 134].flatMap((up) => [[10, -up], [-10, -up], [10, up], [-10, up]])];

/** Place names so that none meets another, a named point, or the edge of the plot. */
export function labelPlaces(labels) {
  const wide = Math.max(200, $("plot").clientWidth - 68 - SCALE_BAR), tall = Math.max(150, $("plot").clientHeight - 60);
  const [left, right] = spanOf(state.x), [bottom, top] = spanOf(metric);
  const spots = labels.map(([x, y]) => [((x - left) / (right - left)) * wide, ((top - y) / (top - bottom)) * tall]);
  const taken = spots.map(([x, y]) => [x - 7, x + 7, y - 7, y + 7]);
  return labels.map(([, , name], k) => {
    const box = ([dx, dy]) => {
      const start = spots[k][0] + dx, width = PER_LETTER * name.length + 4;
      return [...(dx > 0 ? [start, start + width] : [start - width, start]), spots[k][1] + dy - TALL / 2, spots[k][1] + dy + TALL / 2];
    };
    const free = (b) => b[0] >= 0 && b[1] <= wide && b[2] >= 0 && b[3] <= tall && !taken.some((t, j) => j !== k && meets(b, t));
    const found = OFFSETS.findIndex((offset) => free(box(offset)));
    const [dx, dy] = OFFSETS[Math.max(0, found)];
    taken.push(box([dx, dy]));
    return { dx, dy, side: dx > 0 ? "left" : "right", far: found > 5 };
  });
}

const meets = (a, b) => a[0] < b[1] && b[0] < a[1] && a[2] < b[3] && b[2] < a[3];
