/** Numbers with their units, as the page writes them. */

import { V } from "./study.js";

export function digits(value, significant = 3) {
  if (!value) return "0";
  const places = significant - 1 - Math.floor(Math.log10(Math.abs(value)));
  const scale = 10 ** places;
  return (Math.round(value * scale) / scale).toFixed(Math.max(0, Math.min(places, 12)));
}

function scaled(value, unit, steps) {
  const [size, prefix] = steps.find(([s]) => Math.abs(value) >= s) ?? steps[steps.length - 1];
  return `${digits(value / size)} ${prefix}${unit}`.trimEnd();
}

const SMALL = [[1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];
const LARGE = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];
const WRITERS = {
  "fraction": (v) => `${(100 * v).toFixed(1)} %`,
  "ms": (v) => `${digits(v)} ms`,
  "samples/s": (v) => `${digits(v)} /s`,
  "J/sample": (v) => (v ? scaled(v, "J", SMALL) : "0 J"),
  "count": (v) => (v >= 1000 ? scaled(v, "", LARGE) : v.toFixed(0)),
  "B": (v) => scaled(v, "B", LARGE),
};
export const times = (factor) => `${digits(factor, 2)}×`;
export const whole = (value) => value.toLocaleString("en");
export const count = (value) => (value == null ? "–" : WRITERS.count(value));
const mark = (i) => (V.objectives[i].estimated ? "≈" : "");
export const bare = (i, value) => (value == null ? "–" : WRITERS[V.objectives[i].unit](value));
export const written = (i, value) => (value == null ? "–" : mark(i) + bare(i, value));
export const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
export const clock = (s) => (s < 90 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`);
