/** The plot of the front: drawn again in two or three dimensions; a click chooses a trial. */

import { $, page } from "./elements.js";
import { pool, visible } from "./filters.js";
import { flatLayout, flatTraces } from "./flat.js";
import { MOST_OTHERS } from "./markers.js";
import { plural } from "./quantities.js";
import { full, narrow, plain } from "./sheets.js";
import { solidLayout, solidTraces } from "./solid.js";
import { choose, state } from "./state.js";

let kind = null;

export async function drawFront() {
  const shown = visible();
  const div = $("plot");
  page.dataset.visiblePoints = String(shown.length);
  page.dataset.visibleFront = String(shown.filter((p) => p.front).length);
  const of = pool().length;
  const others = shown.filter((p) => !p.front).length;
  const drawn = Math.ceil(others / Math.ceil(others / MOST_OTHERS || 1));
  const note = others > MOST_OTHERS ? `; ${drawn} of the ${others} beside the front are drawn` : "";
  $("shown").textContent = `${shown.length} of ${plural(of, state.every ? "trial" : "point")}${note}`;
  const wanted = state.three ? "3d" : "2d";
  if (kind && kind !== wanted) Plotly.purge(div);
  const traces = state.three ? solidTraces(shown) : flatTraces(shown);
  await Plotly.react(div, traces, state.three ? solidLayout() : flatLayout(), narrow() ? plain : full);
  if (kind !== wanted) div.on("plotly_click", (event) => {
    const number = event.points[0]?.customdata;
    if (number != null) choose(Number(number));
  });
  kind = wanted;
  page.dataset.view = wanted;
}
