/** The drawing of a model: heads and neurons left in every layer. */

import { css, svg } from "./elements.js";
import { V } from "./study.js";
import { layerText, shapeText } from "./words.js";

/** Heads and neurons left in every layer against the dense model, layer 1 at the bottom. */
export function picture(point, width = 320) {
  const dense = V.dense && V.dense.layers ? V.dense.layers : point.layers;
  const rows = dense.length;
  const step = rows > 16 ? 12 : 18;
  const tall = step - 5;
  const label = 22, gap = 10;
  const wide = (width - label - gap) / 2;
  const most = [0, 1].map((k) => Math.max(1, ...dense.map((layer) => layer[k])));
  const node = svg("svg", { class: "shape", viewBox: `0 0 ${width} ${rows * step + 2}`, role: "img" });
  node.append(svg("title", {}, `Trial ${point.number ?? "dense"}: ${shapeText(point)}. ${layerText(point)}`));
  for (let r = 0; r < rows; r++) {
    const y = (rows - 1 - r) * step + 1;
    const left = point.layers[r] ?? [0, 0];
    node.append(svg("text", { x: 0, y: y + tall - 1 }, String(r + 1)));
    if (!left[0] && !left[1]) {
      node.append(svg("line", { x1: label, x2: width, y1: y + tall / 2, y2: y + tall / 2, stroke: css("--other"), "stroke-dasharray": "3 4" }));
      continue;
    }
    node.append(...headCells(label, y, wide, tall, left[0], dense[r][0], most[0]));
    node.append(...bar(label + wide + gap, y, wide, tall, left[1] / most[1], dense[r][1] / most[1]));
  }
  return node;
}

function headCells(x, y, wide, tall, left, whole, most) {
  if (most > 16) return bar(x, y, wide, tall, left / most, whole / most);
  const cell = wide / most;
  return Array.from({ length: whole }, (_, k) => svg("rect", {
    x: x + k * cell + 0.5, y: y + 0.5, width: Math.max(1, cell - 2), height: tall - 1, rx: 1.5,
    fill: k < left ? css("--kept") : "none", stroke: k < left ? "none" : css("--line"),
  }));
}

function bar(x, y, wide, tall, share, whole) {
  return [
    svg("rect", { x: x + 0.5, y: y + 0.5, width: Math.max(0, whole * wide - 1), height: tall - 1, fill: "none", stroke: css("--line") }),
    svg("rect", { x: x + 0.5, y: y + 0.5, width: Math.max(0, share * wide - 1), height: tall - 1, fill: css("--kept") }),
  ];
}
