/** Numbers with their units: written by the table of units that the page was given. */

import { V } from "./study.js";

export function digits(value, significant = 3) {
  if (!value) return "0";
  const places = significant - 1 - Math.floor(Math.log10(Math.abs(value)));
  const scale = 10 ** places;
  return (Math.round(value * scale) / scale).toFixed(Math.max(0, Math.min(places, 12)));
}

/** The greatest size, with its name, that a value of a unit reaches. */
export function prefixOf(unit, value) {
  return unit.prefixes.find(([size]) => Math.abs(value) >= size) ?? unit.prefixes[unit.prefixes.length - 1];
}

/** A value by the table of units that the page was given. */
function inUnit(unit, value) {
  const scaled = unit.factor * value;
  const [size, prefix] = scaled ? prefixOf(unit, scaled) : [1, ""];
  const number = unit.decimals != null && !prefix ? scaled.toFixed(unit.decimals) : digits(scaled / size);
  return `${number} ${prefix}${unit.symbol}`.trimEnd();
}

export const times = (factor) => `${digits(factor, 2)}×`;
export const whole = (value) => value.toLocaleString("en");
export const count = (value) => (value == null ? "–" : inUnit(V.units.count, value));
const mark = (i) => (V.objectives[i].estimated ? V.estimate.mark : "");
export const bare = (i, value) => (value == null ? "–" : inUnit(V.units[V.objectives[i].unit], value));
export const written = (i, value) => (value == null ? "–" : mark(i) + bare(i, value));
export const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
