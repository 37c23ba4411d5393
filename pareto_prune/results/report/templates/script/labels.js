/** Where the names of points stand in the plot in two dimensions. */

import { onAxis } from "./axes.js";
import { $ } from "./elements.js";
import { pool } from "./filters.js";
import { state } from "./state.js";
import { metric, V } from "./study.js";

/** Place names so that they neither meet nor leave the plot, as far as that is possible. */
export function labelSides(labels) {
  const wide = Math.max(200, $("plot").clientWidth - 140), tall = Math.max(150, $("plot").clientHeight - 90);
  const known = pool().concat(V.dense ? [V.dense] : []);
  const span = (i) => {
    const values = known.map((p) => onAxis(i, p.values[i]));
    const low = Math.min(...values), high = Math.max(...values);
    return [low, high - low || 1];
  };
  const [left, across] = span(state.x), [bottom, up] = span(metric);
  const taken = [];
  return labels.map(([x, y, name]) => {
    const at = [((x - left) / across) * wide, ((y - bottom) / up) * tall];
    const box = (side) => {
      const width = 7 * name.length, ends = side.endsWith("right") ? [at[0] + 6, at[0] + 6 + width] : [at[0] - 6 - width, at[0] - 6];
      const low = at[1] + (side.startsWith("top") ? 2 : side.startsWith("middle") ? -12 : -26);
      return [...ends, low, low + 24];
    };
    const meets = (a, b) => a[0] < b[1] && b[0] < a[1] && a[2] < b[3] && b[2] < a[3];
    const out = (b) => b[0] < 0 || b[1] > wide + 10;
    const sides = ["bottom right", "bottom left", "top right", "top left", "middle left", "middle right"];
    const side = sides.find((s) => !out(box(s)) && !taken.some((b) => meets(b, box(s)))) ?? sides.find((s) => !out(box(s))) ?? sides[0];
    taken.push(box(side));
    return side;
  });
}
