/** What to know beside the front: stopped and failed trials, notes, machine, study file. */

import { $, el } from "./elements.js";
import { plural } from "./quantities.js";
import { V } from "./study.js";

export function stops() {
  const s = V.stops;
  $("stops").hidden = !s;
  if (!s) return;
  const saved = s.spent_seconds + s.saved_seconds > 0 ? ` (${Math.round((100 * s.saved_seconds) / (s.spent_seconds + s.saved_seconds))} % of the training time)` : "";
  const text = [`${plural(s.stopped, "trial")} stopped before the last step, which saved about ${s.saved}${saved}.`];
  if (s.audited) text.push(`${plural(s.audited, "trial")} that would have been stopped ran on as an audit: ${s.wrong.length ? `${s.wrong.length} of these stops would have been wrong, the trial made the front (${s.wrong.join(", ")}).` : "none of them made the front."}`);
  else text.push("None ran on as an audit, so how many stops were wrong is not known.");
  $("stops-body").append(...text.map((t) => el("p", {}, t)), el("ul", {}, ...s.reasons.map(([why, n]) => el("li", {}, `${n} × ${why}`))));
}

export function failures() {
  $("failures").hidden = !V.failures.length;
  $("failures-body").append(el("ul", {}, ...V.failures.map((f) =>
    el("li", {}, `${plural(f.trials.length, "trial")} (${f.trials.slice(0, 8).join(", ")}${f.trials.length > 8 ? ", …" : ""}): ${f.kind}: ${f.reason}`))));
}

export function environment() {
  $("notes").append(...V.notes.map((text) => el("li", {}, text)));
  const list = (rows) => el("dl", {}, ...rows.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]));
  $("machine").append(list(V.environment));
  $("config").append(list(V.config));
}
