/** Light or dark, and the colour scale of the plots on either. */

import { $, root } from "./elements.js";
import { state } from "./state.js";

const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74",
  "#c3b369", "#e1cc55", "#fee838"];

function themeNow() {
  if (state.theme) return state.theme;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function paint() {
  root.dataset.theme = themeNow();
  $("theme").textContent = `Theme: ${state.theme ?? "automatic"}`;
}

/** The part of the scale that can be told from the page. */
const scale = () => (themeNow() === "dark" ? CIVIDIS.slice(3) : CIVIDIS.slice(0, 9));
export const colours = () => scale().map((c, i, all) => [i / (all.length - 1), c]);

export function mixed(share) {
  const stops = scale();
  const at = Math.max(0, Math.min(1, share)) * (stops.length - 1);
  const i = Math.min(Math.floor(at), stops.length - 2);
  const channel = (hex, k) => parseInt(hex.slice(1 + 2 * k, 3 + 2 * k), 16);
  const blend = [0, 1, 2].map((k) =>
    Math.round(channel(stops[i], k) + (at - i) * (channel(stops[i + 1], k) - channel(stops[i], k))));
  return `rgb(${blend.join(",")})`;
}
