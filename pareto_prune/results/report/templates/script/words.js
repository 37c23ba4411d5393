/** What the page says of a point and of its model in words. */

import { bare, count, times, whole, written } from "./quantities.js";
import { better, isSpeed, metric, recommended, V } from "./study.js";

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const esc = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** What stands beside a value: points lost, the speed-up, or the share of the cost. */
export function beside(i, value) {
  const dense = V.dense && V.dense.values[i];
  if (value == null || !dense) return "";
  if (i === metric) {
    const lost = 100 * (value - dense);
    return (lost >= 0 ? "+" : "−") + Math.abs(lost).toFixed(1);
  }
  return isSpeed(i) ? times((value / dense) ** better(i)) : times(value / dense);
}

export function valueText(point, i) {
  const aside = beside(i, point.values[i]);
  const range = point.low[i] < point.high[i] ? `, ${bare(i, point.low[i])} to ${bare(i, point.high[i])}` : "";
  return `${written(i, point.values[i])}${aside ? ` (${aside}${range})` : range}`;
}

export const againText = (p) => `confirmed ×${p.again.retrainings}`;

export function madeBy(point) {
  if (point.starter) return point.starter;
  const made = [...new Set([point.strategy, point.importance].filter(Boolean))].join("/") || "–";
  return point.parent == null ? made : `${made}, from ${point.parent}`;
}

export const heads = (p) => p.layers.reduce((sum, layer) => sum + layer[0], 0);
export const neurons = (p) => p.layers.reduce((sum, layer) => sum + layer[1], 0);
export const depth = (p) => p.layers.filter((layer) => layer[0] || layer[1]).length;

export function shapeText(point) {
  if (!point.layers) return "shape not recorded";
  const dense = V.dense && V.dense.layers ? V.dense : null;
  const of = (value, all) => (dense ? `${whole(value)} of ${whole(all)}` : whole(value));
  return `${of(depth(point), dense && dense.layers.length)} layers, ${of(heads(point), dense && heads(dense))} heads, ` +
    `${of(neurons(point), dense && neurons(dense))} neurons, ${count(point.parameters)} parameters${nativeText(point)}${trainedText(point)}`;
}

/** Whether transformers loads the point's model by the name of its architecture alone. */
const nativeText = (p) => (p.native == null ? "" : p.native ? "; native: loads with transformers alone" : "; uneven: needs the code exported with it");

/** How long the point's model was trained. */
const trainedText = (p) => (p.steps ? `; trained for ${whole(p.steps)} steps${p.parent == null ? "" : `, on from trial ${p.parent}`}` : "");

export const layerText = (p) => p.layers.map(([h, n], r) =>
  (h || n ? `layer ${r + 1}: ${h} heads, ${n} neurons` : `layer ${r + 1}: dropped`)).join("; ");

export const pointTitle = (p) => `trial ${p.number} · ${madeBy(p)}${p.number === recommended ? " · recommended" : ""}${p.front ? "" : ` · ${p.state === "complete" ? "dominated" : p.state}`}`;
export const stateText = (p) => (p.front ? (p.confirmed ? "front, confirmed" : "front") : p.state === "complete" ? "dominated" : p.state);
