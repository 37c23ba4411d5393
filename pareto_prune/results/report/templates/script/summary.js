/** The top: tiles of the dense model, of what a few points buy, of the hypervolume; what to mind. */

import { $, el } from "./elements.js";
import { plural, times, written } from "./quantities.js";
import { costs, front, metric, V } from "./study.js";

export function summary() {
  const tiles = [];
  if (V.dense) {
    tiles.push(tile(written(metric, V.dense.values[metric]), `dense model’s ${V.objectives[metric].label}`));
    for (const i of costs) tiles.push(tile(written(i, V.dense.values[i]), `dense model’s ${V.objectives[i].label}`));
  }
  for (const at of V.at_points_lost) {
    const lost = `at ${plural(at.points, "point")} lost`;
    if (at.speedup_trial == null && at.energy_trial == null) continue;
    const energy = at.energy_ratio == null ? "" : `${times(at.energy_ratio)} the energy`;
    if (at.speedup != null) tiles.push(tile(times(at.speedup), `faster ${lost}${energy && `, ${energy}`}`));
    else if (energy) tiles.push(tile(times(at.energy_ratio), `the energy ${lost}`));
  }
  const why = V.dense ? "the dense model does not beat chance" : "the dense model is not measured yet";
  tiles.push(tile(V.hypervolume == null ? "–" : V.hypervolume.toFixed(3),
    V.hypervolume == null ? `hypervolume: ${why}` : `hypervolume of ${plural(front.length, "point")}${V.hypervolume_v1 == null ? "" : `, ${V.hypervolume_v1.toFixed(3)} by version 1 of the box`}`));
  $("summary").append(...tiles);
  $("cautions").hidden = !V.cautions.length;
  $("cautions").append(...V.cautions.map((text) => el("li", {}, text)));
}

const tile = (value, text) => el("div", { class: "tile" }, el("b", {}, value), el("span", { class: "dim" }, text));
