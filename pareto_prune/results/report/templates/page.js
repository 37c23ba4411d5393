"use strict";
(() => {
  const V = JSON.parse(document.getElementById("view").textContent);
  const root = document.documentElement;
  const page = document.body;
  const $ = (id) => document.getElementById(id);
  const names = V.objectives.map((o) => o.name);
  const metric = names.indexOf(V.metric);
  const costs = names.map((_, i) => i).filter((i) => i !== metric);
  const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74",
    "#c3b369", "#e1cc55", "#fee838"];
  const MOST_OTHERS = 1500;
  const MOST_LINES = 600;
  const MOST_BARS = 40;
  const PAGE_ROWS = 200;
  const byNumber = new Map(V.points.map((p) => [p.number, p]));
  const front = V.points.filter((p) => p.front).sort((a, b) => b.values[metric] - a.values[metric] || a.number - b.number);
  const recommended = V.recommended ? V.recommended.trial : null;
  const state = {
    bounds: new Map(), every: false, relative: false, three: false,
    x: costs[0], colour: costs[1] ?? null, chosen: null, sort: null, down: false,
    rows: PAGE_ROWS, theme: null,
  };

  let kept = null;

  page.dataset.errors = "0";
  addEventListener("error", () => { page.dataset.errors = String(+page.dataset.errors + 1); });
  addEventListener("unhandledrejection", () => {
    page.dataset.errors = String(+page.dataset.errors + 1);
  });

  // ---------------------------------------------------------------- words and elements

  const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  function fill(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
      else if (value === true) node.setAttribute(key, "");
      else if (value !== false && value != null) node.setAttribute(key, value);
    }
    node.append(...children.filter((child) => child != null));
    return node;
  }

  function digits(value, significant = 3) {
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
  const times = (factor) => `${digits(factor, 2)}×`;
  const whole = (value) => value.toLocaleString("en");
  const count = (value) => (value == null ? "–" : WRITERS.count(value));
  const mark = (i) => (V.objectives[i].estimated ? "≈" : "");
  const bare = (i, value) => (value == null ? "–" : WRITERS[V.objectives[i].unit](value));
  const written = (i, value) => (value == null ? "–" : mark(i) + bare(i, value));
  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
  const isSpeed = (i) => /latency|throughput/.test(names[i]);
  const better = (i) => (V.objectives[i].direction === "minimize" ? -1 : 1);
  const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

  /** What stands beside a value: points lost, the speed-up, or the share of the cost. */
  function beside(i, value) {
    const dense = V.dense && V.dense.values[i];
    if (value == null || !dense) return "";
    if (i === metric) {
      const lost = 100 * (value - dense);
      return (lost >= 0 ? "+" : "−") + Math.abs(lost).toFixed(1);
    }
    return isSpeed(i) ? times((value / dense) ** better(i)) : times(value / dense);
  }

  function madeBy(point) {
    if (point.starter) return point.starter;
    return [...new Set([point.strategy, point.importance].filter(Boolean))].join("/") || "–";
  }

  const esc = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const heads = (p) => p.layers.reduce((sum, layer) => sum + layer[0], 0);
  const neurons = (p) => p.layers.reduce((sum, layer) => sum + layer[1], 0);
  const depth = (p) => p.layers.filter((layer) => layer[0] || layer[1]).length;

  // ---------------------------------------------------------------- theme

  function themeNow() {
    if (state.theme) return state.theme;
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }

  function paint() {
    root.dataset.theme = themeNow();
    $("theme").textContent = `Theme: ${state.theme ?? "automatic"}`;
  }

  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  /** The part of the scale that can be told from the page. */
  const scale = () => (themeNow() === "dark" ? CIVIDIS.slice(3) : CIVIDIS.slice(0, 9));
  const colours = () => scale().map((c, i, all) => [i / (all.length - 1), c]);

  function mixed(share) {
    const stops = scale();
    const at = Math.max(0, Math.min(1, share)) * (stops.length - 1);
    const i = Math.min(Math.floor(at), stops.length - 2);
    const channel = (hex, k) => parseInt(hex.slice(1 + 2 * k, 3 + 2 * k), 16);
    const blend = [0, 1, 2].map((k) =>
      Math.round(channel(stops[i], k) + (at - i) * (channel(stops[i + 1], k) - channel(stops[i], k))));
    return `rgb(${blend.join(",")})`;
  }

  // ---------------------------------------------------------------- filtering

  /** The bounds in use: the most of a cost, the least of the metric. */
  function fits(point) {
    for (const [i, bound] of state.bounds) {
      if (better(i) * (point.values[i] - bound) < -1e-12 * Math.abs(bound)) return false;
    }
    return true;
  }

  const isDense = (p) => V.dense != null && p.front && p.starter === "dense";
  const pool = () => (state.every ? V.points : front);
  const visible = () => pool().filter(fits);
  const denseFits = () => V.dense && V.dense.values.every((v) => v != null) && fits(V.dense);

  function sliders() {
    const form = $("budget");
    for (const i of [...costs, metric]) {
      const values = V.points.map((p) => p.values[i]).concat(V.dense ? [V.dense.values[i]] : []);
      const known = values.filter((v) => v != null);
      if (!known.length) continue;
      form.append(slider(i, Math.min(...known), Math.max(...known)));
    }
    form.append(el("button", { type: "reset" }, "No budgets"));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => { state.bounds.clear(); setTimeout(() => { follow(); changed(); }); });
  }

  function slider(i, low, high) {
    const o = V.objectives[i];
    const wanted = better(i) < 0 ? "at most" : "at least";
    const log = i !== metric && low > 0;
    const at = (step) => {
      const t = step / 200;
      return log ? low * (high / low) ** t : low + t * (high - low);
    };
    const open = better(i) < 0 ? 200 : 0;
    const out = el("output", {}, "any");
    const input = el("input", {
      type: "range", min: 0, max: 200, value: open, "data-objective": o.name,
      "aria-label": `${o.label} ${wanted}`, "aria-valuetext": "any",
    });
    const place = (bound) => {
      const t = log ? Math.log(bound / low) / Math.log(high / low) : (bound - low) / (high - low);
      return Math.round(200 * Math.max(0, Math.min(1, t || 0)));
    };
    const tell = () => {
      const bound = state.bounds.get(i);
      const ratio = bound == null || i === metric || !V.dense ? "" : ` (${beside(i, bound)})`;
      const text = bound == null ? "any" : `${written(i, bound)}${ratio}`;
      out.textContent = text;
      input.setAttribute("aria-valuetext", text);
    };
    input.addEventListener("input", () => {
      if (+input.value === open) state.bounds.delete(i);
      else state.bounds.set(i, at(+input.value));
      tell();
      changed();
    });
    followers.push(() => {
      input.value = state.bounds.has(i) ? place(state.bounds.get(i)) : open;
      tell();
    });
    return el("label", { class: "slider" }, el("span", {}, `${capital(o.label)} ${wanted}`), out, input);
  }

  const followers = [];
  const follow = () => followers.forEach((tell) => tell());

  // ---------------------------------------------------------------- address

  function readAddress() {
    let text = location.hash.slice(1);
    try { text = decodeURIComponent(text); } catch { return; }
    state.bounds.clear();
    for (const part of text.split("&")) {
      const bound = /^(\w+)(<=|>=)([-+.\deE]+)$/.exec(part);
      const pair = /^(\w+)=(.*)$/.exec(part);
      if (bound) setBound(bound[1], bound[2], Number(bound[3]));
      else if (pair) setPlain(pair[1], pair[2]);
    }
  }

  function setBound(name, sign, value) {
    const i = names.indexOf(name);
    if (i >= 0 && Number.isFinite(value) && (sign === ">=") === (better(i) > 0)) state.bounds.set(i, value);
  }

  function setPlain(key, value) {
    if (key === "trial" && byNumber.has(Number(value))) state.chosen = Number(value);
    if (key === "view") state.three = value === "3d" && canTurn();
    if (key === "theme" && ["light", "dark"].includes(value)) state.theme = value;
    if (key === "all") state.every = value === "1";
  }

  function writeAddress() {
    const parts = [...state.bounds].map(([i, bound]) =>
      `${names[i]}${better(i) < 0 ? "<=" : ">="}${+bound.toPrecision(6)}`);
    if (state.chosen != null && state.chosen !== firstChoice()) parts.push(`trial=${state.chosen}`);
    if (state.three) parts.push("view=3d");
    if (state.every) parts.push("all=1");
    if (state.theme) parts.push(`theme=${state.theme}`);
    try { history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname); } catch { /* a page in a frame may not */ }
  }

  // ---------------------------------------------------------------- summary and choice

  const firstChoice = () => recommended ?? V.knee ?? (front.length ? front[0].number : null);

  function summary() {
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
      V.hypervolume == null ? `hypervolume: ${why}` : `hypervolume of ${plural(front.length, "point")}`));
    $("summary").append(...tiles);
  }

  const tile = (value, text) => el("div", { class: "tile" }, el("b", {}, value), el("span", { class: "dim" }, text));

  function choose(number, scroll = false) {
    state.chosen = number;
    describe();
    changed();
    if (scroll) $("choice").scrollIntoView({ block: "start" });
  }

  function describe() {
    const point = byNumber.get(state.chosen);
    page.dataset.selected = point ? String(point.number) : "";
    $("choice").hidden = !point;
    if (!point) return;
    const isBest = point.number === recommended;
    $("choice-title").textContent = isBest ? `Recommended: trial ${point.number}` : `Trial ${point.number}`;
    $("choice-reason").textContent = capital(isBest ? `${V.recommended.reason}.` : standing(point));
    const explained = V.explained[point.number];
    $("choice-sentences").replaceChildren(...sentences(point, explained).map((text) => el("li", {}, text)));
    $("choice-shape").replaceChildren(point.layers ? picture(point, 320) : "");
    $("choice-caption").textContent = `Trial ${point.number}, ${madeBy(point)}: ${shapeText(point)}`;
    $("choice-export").replaceChildren(...takeHome(point));
  }

  function standing(point) {
    if (point.front) return point.number === V.knee ? "the knee of the front." : "on the front.";
    return point.reason ? `${point.state}: ${point.reason}` : "not on the front: another point is nowhere worse and somewhere better.";
  }

  function sentences(point, explained) {
    if (explained) return explained.sentences;
    return names.map((_, i) => `${capital(V.objectives[i].label)} ${valueText(point, i)}.`);
  }

  function valueText(point, i) {
    const aside = beside(i, point.values[i]);
    const range = point.low[i] < point.high[i] ? `, ${bare(i, point.low[i])} to ${bare(i, point.high[i])}` : "";
    return `${written(i, point.values[i])}${aside ? ` (${aside}${range})` : range}`;
  }

  function shapeText(point) {
    if (!point.layers) return "shape not recorded";
    const dense = V.dense && V.dense.layers ? V.dense : null;
    const of = (value, all) => (dense ? `${whole(value)} of ${whole(all)}` : whole(value));
    return `${of(depth(point), dense && dense.layers.length)} layers, ${of(heads(point), dense && heads(dense))} heads, ` +
      `${of(neurons(point), dense && neurons(dense))} neurons, ${count(point.parameters)} parameters`;
  }

  function takeHome(point) {
    const study = /^[\w.-]+$/.test(V.study) ? V.study : `'${V.study.replace(/'/g, "'\\''")}'`;
    const lines = [`pareto-prune export ${study} ${point.number} --to model`];
    return lines.map((line) => {
      const button = el("button", { type: "button", "aria-label": `Copy: ${line}` }, "Copy");
      button.addEventListener("click", async () => {
        try { await navigator.clipboard.writeText(line); button.textContent = "Copied"; }
        catch { button.textContent = "Select it"; }
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
      return el("div", { class: "command" }, el("pre", {}, el("code", {}, line)), button);
    });
  }

  // ---------------------------------------------------------------- picture of a model

  /** Heads and neurons left in every layer against the dense model, layer 1 at the bottom. */
  function picture(point, width = 320) {
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

  const layerText = (p) => p.layers.map(([h, n], r) =>
    (h || n ? `layer ${r + 1}: ${h} heads, ${n} neurons` : `layer ${r + 1}: dropped`)).join("; ");

  function pictures() {
    const wanted = [recommended, V.knee, ...front.map((p) => p.number)];
    const numbers = [...new Set(wanted)].filter((n) => n != null && byNumber.get(n)?.layers).slice(0, 12);
    if (state.chosen != null && byNumber.get(state.chosen)?.layers && !numbers.includes(state.chosen)) numbers.unshift(state.chosen);
    $("shapes").hidden = !numbers.length;
    const keep = document.activeElement?.dataset?.picture;
    $("pictures").replaceChildren(...numbers.map((n) => pictureButton(byNumber.get(n))));
    if (keep) $("pictures").querySelector(`[data-picture="${keep}"]`)?.focus();
  }

  function pictureButton(point) {
    const role = point.number === recommended ? " ★" : point.number === V.knee ? " (knee)" : "";
    const text = names.map((_, i) => written(i, point.values[i])).join(" · ");
    return el("button", {
      type: "button", class: "picture", "aria-pressed": String(point.number === state.chosen), "data-picture": point.number,
      on: { click: () => choose(point.number) },
    }, el("strong", {}, `Trial ${point.number}${role}`), el("span", { class: "dim" }, madeBy(point)), picture(point, 220), el("span", { class: "dim" }, text));
  }

  // ---------------------------------------------------------------- plots

  /** Nothing leaves the page: the library's button that uploads a chart is off. */
  const base = { displaylogo: false, responsive: true, showSendToCloud: false, plotlyServerURL: "" };
  const plain = { ...base, displayModeBar: false };
  const full = {
    ...base,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    toImageButtonOptions: { filename: "pareto-front", scale: 2 },
  };
  const narrow = () => innerWidth < 700;
  const canTurn = () => costs.length >= 2;

  function share(i, value) {
    const dense = V.dense && V.dense.values[i];
    return state.relative && dense && i !== metric ? value / dense : value;
  }

  const greatest = names.map((_, i) =>
    V.points.reduce((most, p) => Math.max(most, p.values[i]), (V.dense && V.dense.values[i]) || 0));

  /** The factor and unit in which an axis shows an objective. */
  function axisUnit(i) {
    const o = V.objectives[i];
    if (i === metric) return o.unit === "fraction" ? [100, "%"] : [1, o.unit];
    if (state.relative && V.dense && V.dense.values[i]) return [1, "× dense"];
    const most = greatest[i];
    if (o.unit === "J/sample") return most < 1e-3 ? [1e6, "µJ/sample"] : most < 1 ? [1e3, "mJ/sample"] : [1, "J/sample"];
    if (o.unit === "count") return most > 1e6 ? [1e-6, "millions"] : [1, ""];
    if (o.unit === "B") return [1e-6, "MB"];
    return [1, o.unit];
  }

  const onAxis = (i, value) => (value == null ? null : share(i, value) * axisUnit(i)[0]);

  function axisTitle(i) {
    const o = V.objectives[i];
    const unit = axisUnit(i)[1];
    return esc(`${o.label}${unit ? `, ${unit}` : ""}${o.estimated ? " (est.)" : ""}`);
  }

  const colourTitle = () => (state.colour == null ? "parameters, millions" : axisTitle(state.colour));
  const colourOf = (p) => (state.colour == null ? (p.parameters ?? 0) / 1e6 : onAxis(state.colour, p.values[state.colour]));
  /** Colours go by the logarithm: a cost halves as visibly at its low end as at its high end. */
  const shade = (p) => Math.log10(Math.max(colourOf(p), 1e-12));

  /** Round values of a logarithmic scale within its ends. */
  function ticks(low, high) {
    const found = [];
    for (const steps of [[1, 2, 5], [1, 1.5, 2, 3, 5, 7], [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9]]) {
      found.length = 0;
      for (let k = Math.floor(low); k <= high; k++) for (const m of steps) found.push(m * 10 ** k);
      const within = found.filter((v) => Math.log10(v) >= low - 1e-9 && Math.log10(v) <= high + 1e-9);
      if (within.length >= 3) return within;
    }
    return [10 ** low, 10 ** high];
  }

  function hover(point, title) {
    const lines = [`<b>${esc(title)}</b>`];
    for (let i = 0; i < names.length; i++) lines.push(`${V.objectives[i].label} ${esc(valueText(point, i))}`);
    if (point.parameters) lines.push(`${count(point.parameters)} parameters`);
    if (point.layers) {
      lines.push(...wrapped("heads", point.layers.map((l) => l[0])), ...wrapped("neurons", point.layers.map((l) => l[1])));
      if (V.dense && point.hidden && point.hidden < V.dense.hidden) lines.push(`${point.hidden} of ${V.dense.hidden} hidden channels`);
    }
    if (point.reason) lines.push(esc(point.reason.slice(0, 90)));
    return lines.join("<br>");
  }

  function wrapped(label, numbers) {
    const lines = [];
    for (let k = 0; k < numbers.length; k += 8) lines.push(`${k ? "   " : `${label}: `}${numbers.slice(k, k + 8).join(" ")}`);
    return lines;
  }

  const pointTitle = (p) => `trial ${p.number} · ${madeBy(p)}${p.number === recommended ? " · recommended" : ""}${p.front ? "" : ` · ${p.state === "complete" ? "dominated" : p.state}`}`;
  const anyEstimate = V.objectives.some((o) => o.estimated);
  const hollow = (symbol) => (anyEstimate ? `${symbol}-open` : symbol);
  const symbolOf = (p) => hollow(p.starter ? "square" : "circle");

  function thinned(points) {
    const stride = Math.ceil(points.length / MOST_OTHERS);
    return points.filter((_, k) => k % stride === 0);
  }

  const ranges = () => {
    const values = front.filter((p) => !isDense(p)).map(shade).filter(Number.isFinite);
    return values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  };

  function marker(points, size) {
    const [low, high] = ranges();
    const bar = narrow()
      ? { orientation: "h", y: -0.2, yanchor: "top", thickness: 10, len: 1, title: { text: colourTitle(), side: "bottom", font: { size: 12 } } }
      : { thickness: 12, len: 0.9, title: { text: colourTitle(), side: "right" } };
    return {
      size, symbol: points.map(symbolOf), color: points.map(shade), colorscale: colours(),
      cmin: low, cmax: high > low ? high : low + 1e-9, showscale: points.length > 0 && high > low,
      line: { width: anyEstimate ? 2.5 : 1, color: anyEstimate ? undefined : css("--page") },
      colorbar: {
        outlinewidth: 0, tickfont: { color: css("--dim") }, tickvals: ticks(low, high).map(Math.log10),
        ticktext: ticks(low, high).map((v) => digits(v, 2)), ...bar,
      },
    };
  }

  function errors(points, i, colour) {
    const upper = points.map((p) => onAxis(i, p.high[i]) - onAxis(i, p.values[i]));
    const lower = points.map((p) => onAxis(i, p.values[i]) - onAxis(i, p.low[i]));
    return { type: "data", symmetric: false, array: upper, arrayminus: lower, thickness: 1, width: 0, color: colour };
  }

  const bars = (points) => ({
    error_x: errors(points, state.x, css("--other")), error_y: errors(points, metric, css("--other")),
  });

  /** The best metric at each cost, as the steps of the visible front. */
  function frontLine(points) {
    const known = points.map((p) => [onAxis(state.x, p.values[state.x]), onAxis(metric, p.values[metric])]);
    const turn = -better(state.x);
    known.sort((a, b) => turn * (a[0] - b[0]) || b[1] - a[1]);
    let best = -Infinity;
    const kept = known.filter(([, y]) => (y > best ? ((best = y), true) : false));
    return {
      type: "scatter", mode: "lines", x: kept.map((k) => k[0]), y: kept.map((k) => k[1]),
      line: { shape: "hv", color: css("--dim"), width: 1.5 }, hoverinfo: "skip", showlegend: false,
    };
  }

  function flatTraces(shown) {
    const others = thinned(shown.filter((p) => !p.front));
    const members = shown.filter((p) => p.front && !isDense(p));
    const x = (p) => onAxis(state.x, p.values[state.x]);
    const y = (p) => onAxis(metric, p.values[metric]);
    const base = { type: "scatter", hovertemplate: "%{text}<extra></extra>", showlegend: false };
    const faint = css("--other");
    const traces = [{
      ...base, mode: "markers", x: others.map(x), y: others.map(y), text: others.map((p) => hover(p, pointTitle(p))),
      customdata: others.map((p) => p.number), opacity: 0.7,
      marker: { size: 7, color: faint, symbol: others.map((p) => ({ stopped: "x-thin-open", infeasible: "diamond-open" })[p.state] ?? hollow("circle")), line: { width: 1.5 } },
    }];
    const lined = denseFits() ? members.concat([V.dense]) : members;
    traces.push(frontLine(lined));
    traces.push({
      ...base, mode: "markers", x: members.map(x), y: members.map(y), text: members.map((p) => hover(p, pointTitle(p))),
      customdata: members.map((p) => p.number), marker: marker(members, 12),
      ...(members.length <= MOST_BARS ? bars(members) : {}),
    });
    traces.push(...namedTraces(base, x, y));
    const chosen = byNumber.get(state.chosen);
    if (chosen && fits(chosen)) traces.push({
      ...base, mode: "markers", x: [x(chosen)], y: [y(chosen)], ...bars([chosen]), hoverinfo: "skip", hovertemplate: null,
      marker: { size: 24, symbol: "circle-open", color: css("--mark"), line: { width: 2.5 } },
    });
    return traces;
  }

  /** The dense model, named references and starters, with their names beside. */
  function namedTraces(base, x, y) {
    const named = V.references.filter((r) => r.values[state.x] != null && r.values[metric] != null && fits(r))
      .map((r) => [r, r.name, "triangle-up"]);
    if (denseFits()) named.push([V.dense, "dense", "diamond"]);
    const sides = labelSides(named.map(([p, name]) => [x(p), y(p), name]));
    const traces = named.map(([p, name, symbol], k) => ({
      ...base, mode: "markers+text", x: [x(p)], y: [y(p)], text: [esc(name)], textposition: sides[k],
      textfont: { color: css("--ink"), size: 12 }, hovertext: [hover(p, name === "dense" ? "dense model" : name)], hovertemplate: "%{hovertext}<extra></extra>",
      marker: { size: 13, symbol: hollow(symbol), color: css("--ink"), line: { width: 2 } },
    }));
    const starters = visible().filter((p) => p.front && p.starter && p.starter !== "dense");
    if (starters.length) traces.push({
      ...base, mode: "text", x: starters.map(x), y: starters.map(y), text: starters.map((p) => esc(p.starter)),
      textposition: "top left", textfont: { color: css("--dim"), size: 11 }, hoverinfo: "skip", hovertemplate: null,
    });
    return traces;
  }

  /** Place names so that they neither meet nor leave the plot, as far as that is possible. */
  function labelSides(labels) {
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

  function axis(i, extra = {}) {
    return {
      title: { text: axisTitle(i), standoff: 8 }, gridcolor: css("--grid"), zeroline: false, linecolor: css("--line"),
      tickfont: { color: css("--dim") }, automargin: true, ...extra,
    };
  }

  /** A sheet of paper has its own width, which is not known before it is printed. */
  const PAPER = 690;
  const paper = (width) => (kept ? { width, autosize: false } : { autosize: true });

  const sheet = (extra) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: css("--ink"), family: getComputedStyle(page).fontFamily, size: 13 },
    margin: { l: 56, r: 12, t: 12, b: 48 }, hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink"), family: getComputedStyle(page).fontFamily }, align: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--dim"), activecolor: css("--accent") },
    hovermode: "closest", dragmode: narrow() ? false : "zoom", ...extra,
  });

  function flatLayout() {
    return sheet({
      ...paper(PAPER), xaxis: axis(state.x), yaxis: axis(metric),
      margin: { l: 56, r: 12, t: 12, b: narrow() ? 110 : 48 }, uirevision: `${state.x}${state.relative}`,
    });
  }

  function solidTraces(shown) {
    const [a, b] = axes3();
    const members = shown.filter((p) => p.front && !isDense(p));
    const others = thinned(shown.filter((p) => !p.front));
    const place = (points) => ({
      x: points.map((p) => onAxis(a, p.values[a])), y: points.map((p) => onAxis(b, p.values[b])), z: points.map((p) => onAxis(metric, p.values[metric])),
    });
    const base = { type: "scatter3d", mode: "markers", hovertemplate: "%{text}<extra></extra>", showlegend: false };
    const texts = (points) => ({ text: points.map((p) => hover(p, pointTitle(p))), customdata: points.map((p) => p.number) });
    const traces = [
      { ...base, ...place(others), ...texts(others), marker: { size: 3, color: css("--other"), symbol: hollow("circle") }, opacity: 0.6 },
      { ...base, ...place(members), ...texts(members), marker: { ...marker(members, 8), line: { width: 1 } } },
    ];
    if (members.length <= 200) traces.push(stems(members.concat(denseFits() ? [V.dense] : []), place));
    const named = V.references.filter((r) => fits(r)).map((r) => [r, r.name]).concat(denseFits() ? [[V.dense, "dense"]] : []);
    for (const [p, name] of named) traces.push({
      ...base, ...place([p]), mode: "markers+text", text: [esc(name)], hovertext: [hover(p, name)], hovertemplate: "%{hovertext}<extra></extra>",
      textfont: { color: css("--ink"), size: 12 }, marker: { size: 7, color: css("--ink"), symbol: hollow("diamond") },
    });
    const chosen = byNumber.get(state.chosen);
    if (chosen && fits(chosen)) traces.push({
      ...base, ...place([chosen]), hoverinfo: "skip", hovertemplate: null, marker: { size: 13, color: css("--mark"), symbol: "circle-open", line: { width: 3 } },
    });
    return traces;
  }

  /** A thin line from each point to the floor, so that its place can be read. */
  function stems(points, place) {
    const { x, y, z } = place(points);
    const floor = Math.min(...z);
    const broken = (values, foot) => values.flatMap((v) => [v, foot ?? v, null]);
    return {
      type: "scatter3d", mode: "lines", x: broken(x), y: broken(y), z: broken(z, floor),
      line: { color: css("--other"), width: 1 }, hoverinfo: "skip", showlegend: false,
    };
  }

  const axes3 = () => [state.x, state.colour != null && state.colour !== state.x && state.colour !== metric ? state.colour : costs.find((i) => i !== state.x)];

  function solidLayout() {
    const [a, b] = axes3();
    const solid = (i) => ({ ...axis(i), title: { text: axisTitle(i) }, backgroundcolor: "rgba(0,0,0,0)", color: css("--ink"), automargin: undefined });
    return sheet({
      ...paper(PAPER), margin: { l: 0, r: 0, t: 0, b: narrow() ? 60 : 0 }, dragmode: "turntable", uirevision: "solid",
      scene: { xaxis: solid(a), yaxis: solid(b), zaxis: solid(metric), camera: { eye: { x: 1.35, y: -1.75, z: 0.55 }, center: { x: 0, y: 0, z: -0.12 } }, aspectmode: "cube" },
    });
  }

  let kind = null;

  async function drawFront() {
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

  function legend() {
    const mark = (shape, text) => el("span", {}, svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, shape), text);
    const outline = { fill: anyEstimate ? "none" : "currentColor", stroke: "currentColor", "stroke-width": 2 };
    const entries = [
      mark(svg("circle", { cx: 8, cy: 8, r: 5, ...outline }), "on the front"),
      mark(svg("path", { d: "M1 12h6V5h8", fill: "none", stroke: "currentColor", "stroke-width": 1.5 }), "best metric at each cost"),
      mark(svg("path", { d: "M8 2l6 6-6 6-6-6z", ...outline }), "dense model"),
    ];
    if (front.some((p) => p.starter && !isDense(p))) entries.push(mark(svg("rect", { x: 3, y: 3, width: 10, height: 10, ...outline }), "from a starter"));
    if (V.references.length) entries.push(mark(svg("path", { d: "M8 3l6 10H2z", ...outline }), "named reference"));
    if (V.points.some((p) => p.state === "stopped")) entries.push(mark(svg("path", { d: "M3 3l10 10M13 3L3 13", stroke: "currentColor", "stroke-width": 1.5 }), "stopped early"));
    entries.push(mark(svg("circle", { cx: 8, cy: 8, r: 7, fill: "none", stroke: "var(--mark)", "stroke-width": 2 }), "selected"));
    entries.push(el("span", {}, "bars: 95 % intervals"));
    $("legend").append(...entries);
    const guessed = V.objectives.filter((o) => o.estimated).map((o) => o.label);
    $("estimates").textContent = guessed.length ? `≈ and hollow markers: ${guessed.join(" and ")} is estimated, good to a factor of about 2 (×/÷).` : "";
  }

  function controls() {
    const option = (value, text, on) => el("option", { value, selected: on }, text);
    $("across").append(...costs.map((i) => option(i, V.objectives[i].label, i === state.x)));
    $("colour").append(...costs.map((i) => option(i, V.objectives[i].label, i === state.colour)), option("", "parameters", state.colour == null));
    $("across").addEventListener("change", (e) => { state.x = +e.target.value; changed(); });
    $("colour").addEventListener("change", (e) => { state.colour = e.target.value === "" ? null : +e.target.value; changed(); });
    $("relative").addEventListener("change", (e) => { state.relative = e.target.checked; changed(); });
    $("every").addEventListener("change", (e) => { state.every = e.target.checked; state.rows = PAGE_ROWS; changed(); });
    $("relative").disabled = !V.dense;
    for (const three of [false, true]) $(three ? "tab-3d" : "tab-2d").addEventListener("click", () => turn(three));
    document.querySelector(".tabs").addEventListener("keydown", (e) => {
      if (!["ArrowLeft", "ArrowRight"].includes(e.key) || !canTurn()) return;
      turn(!state.three);
      $(state.three ? "tab-3d" : "tab-2d").focus();
    });
    document.querySelector(".tabs").hidden = !canTurn();
    $("theme").addEventListener("click", () => {
      state.theme = { light: "dark", dark: null }[state.theme] === undefined ? "light" : { light: "dark", dark: null }[state.theme];
      redraw();
    });
    $("print").addEventListener("click", () => print());
    $("more").addEventListener("click", () => { state.rows += PAGE_ROWS; table(); });
  }

  function turn(three) {
    state.three = three;
    tabs();
    changed();
  }

  function tabs() {
    for (const [id, on] of [["tab-2d", !state.three], ["tab-3d", state.three]]) {
      $(id).setAttribute("aria-selected", String(on));
      $(id).tabIndex = on ? 0 : -1;
    }
  }

  // ---------------------------------------------------------------- table

  const COLUMNS = [
    { title: "trial", key: (p) => p.number, cell: pickCell },
    { title: "made by", text: true, key: madeBy, cell: (p) => madeBy(p) },
    ...names.map((_, i) => ({
      title: V.objectives[i].label + (V.objectives[i].estimated ? " (est.)" : ""), key: (p) => p.values[i], down: better(i) > 0,
      cell: (p) => el("span", { title: valueText(p, i) }, written(i, p.values[i]), " ", el("span", { class: "aside" }, beside(i, p.values[i]))),
    })),
    { title: "parameters", key: (p) => p.parameters ?? Infinity, cell: (p) => count(p.parameters) },
    { title: "layers", key: (p) => (p.layers ? depth(p) : 0), cell: (p) => (p.layers ? String(depth(p)) : "–") },
    { title: "state", text: true, key: (p) => p.state, cell: (p) => stateText(p) },
  ];

  const stateText = (p) => (p.front ? (p.confirmed ? "front, confirmed" : "front") : p.state === "complete" ? "dominated" : p.state);

  function pickCell(p) {
    const label = p.number === recommended ? `${p.number} ★` : String(p.number);
    return el("button", {
      type: "button", class: "pick", "aria-pressed": String(p.number === state.chosen),
      "aria-label": `Select trial ${p.number}${p.number === recommended ? ", recommended" : ""}`, "data-pick": p.number,
    }, label);
  }

  function sorted(points) {
    const column = state.sort ?? 2 + metric;
    const down = state.sort == null ? true : state.down;
    const key = COLUMNS[column].key;
    const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    return [...points].sort((a, b) => (down ? -1 : 1) * order(key(a), key(b)) || a.number - b.number);
  }

  function table() {
    const shown = sorted(visible().filter((p) => !isDense(p)));
    const focused = document.activeElement?.dataset ?? {};
    const head = el("thead", {}, el("tr", {}, ...COLUMNS.map(headCell)));
    const body = el("tbody");
    if (V.dense && denseFits()) body.append(denseRow());
    for (const p of shown.slice(0, state.rows)) body.append(row(p));
    if (!visible().length) body.append(el("tr", {}, el("td", { colspan: COLUMNS.length, class: "text dim" }, emptyText())));
    $("table").replaceChildren(el("caption", { class: "skip" }, "Points of the front"), head, body);
    $("more").hidden = shown.length <= state.rows;
    $("more").textContent = `Show more (${Math.max(0, shown.length - state.rows)} left)`;
    if (focused.pick) $("table").querySelector(`[data-pick="${focused.pick}"]`)?.focus();
    if (focused.column) $("table").querySelector(`[data-column="${focused.column}"]`)?.focus();
  }

  function emptyText() {
    if (V.points.length && state.bounds.size) return "No point keeps these budgets.";
    if (V.points.length) return "No trial is on the front: none is feasible and better than the dense model. Tick “all trials” to see them.";
    return "No trial has finished yet.";
  }

  function headCell(column, k) {
    const on = state.sort === k || (state.sort == null && k === 2 + metric);
    const down = state.sort == null ? true : state.down;
    return el("th", { scope: "col", class: column.text ? "text" : null, "aria-sort": on ? (down ? "descending" : "ascending") : "none" },
      el("button", {
        type: "button", "data-column": k,
        on: { click: () => { state.down = on ? !down : Boolean(column.down); state.sort = k; table(); } },
      }, column.title + (on ? (down ? " ↓" : " ↑") : "")));
  }

  function row(p) {
    const node = el("tr", {
      class: [p.number === state.chosen ? "chosen" : "", p.front ? "" : "off"].join(" ").trim() || null, "data-trial": p.number,
      on: { click: () => choose(p.number) },
    });
    for (const column of COLUMNS) node.append(el("td", { class: column.text ? "text" : null }, column.cell(p)));
    return node;
  }

  function denseRow() {
    const cells = [V.dense.trial == null ? "–" : String(V.dense.trial), "dense model", ...names.map((_, i) => written(i, V.dense.values[i])),
      count(V.dense.parameters), V.dense.layers ? String(V.dense.layers.length) : "–", "reference"];
    return el("tr", { class: "dense" }, ...cells.map((text, k) => el("td", { class: COLUMNS[k].text ? "text" : null }, text)));
  }

  // ---------------------------------------------------------------- parallel coordinates

  function dimensions() {
    const found = names.map((_, i) => ({
      title: V.objectives[i].label + (V.objectives[i].estimated ? " (est.)" : ""), of: (p) => p.values[i],
      text: (v) => written(i, v), flip: better(i) < 0, log: i !== metric,
    }));
    const whole = V.points.length && V.points.every((p) => p.layers);
    if (V.points.some((p) => p.parameters)) found.push({ title: "parameters", of: (p) => p.parameters, text: count, flip: true });
    if (whole) found.push(
      { title: "layers", of: depth, text: String }, { title: "heads", of: heads, text: String }, { title: "neurons", of: neurons, text: count });
    if (V.points.some((p) => p.target != null)) found.push({ title: "cost target", of: (p) => p.target, text: (v) => digits(v, 2) });
    const kinds = [...new Set(V.points.map((p) => p.strategy).filter(Boolean))].sort();
    if (kinds.length > 1) found.unshift({ title: "strategy", of: (p) => kinds.indexOf(p.strategy), text: (v) => kinds[v] ?? "", kinds });
    return found;
  }

  function lines() {
    $("parallel").hidden = !V.points.length;
    if (!V.points.length) return;
    const shown = visible().sort((a, b) => a.front - b.front).slice(-MOST_LINES);
    const wide = 1100, tall = 330, top = 44, bottom = 26, left = 60, right = 50;
    const axes = dimensions();
    const xs = axes.map((_, k) => left + (k * (wide - left - right)) / Math.max(1, axes.length - 1));
    const places = axes.map((a) => placing(a, top, tall - bottom));
    const node = svg("svg", { viewBox: `0 0 ${wide} ${tall}`, role: "img" });
    node.append(svg("title", {}, `${plural(shown.length, "point")} over ${axes.map((a) => a.title).join(", ")}; the table holds the values.`));
    const path = (p) => axes.map((a, k) => [xs[k], places[k](a.of(p))]).filter(([, y]) => y != null && Number.isFinite(y))
      .map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    const [low, high] = ranges();
    for (const p of shown) {
      const colour = p.front ? mixed((shade(p) - low) / (high - low || 1)) : null;
      node.append(svg("path", {
        d: path(p), class: [p.front ? "" : "off", p.number === state.chosen ? "chosen" : ""].join(" ").trim() || null,
        stroke: p.number === state.chosen ? css("--mark") : colour, on: { click: () => choose(p.number) },
      }, svg("title", {}, pointTitle(p))));
    }
    if (denseFits()) node.append(svg("path", { d: path({ ...V.dense, strategy: null }), class: "dense" }, svg("title", {}, "dense model")));
    axes.forEach((a, k) => node.append(...axisMarks(a, xs[k], places[k], top, tall - bottom)));
    $("lines").replaceChildren(node);
  }

  function placing(a, top, bottom) {
    const values = V.points.map(a.of).concat(a.kinds || !V.dense ? [] : [a.of({ target: null, layers: [], ...V.dense })]).filter((v) => v != null && Number.isFinite(v));
    const low = Math.min(...values), high = Math.max(...values);
    a.ends = [low, high];
    const log = a.log && low > 0;
    return (v) => {
      if (v == null || (a.kinds && v < 0)) return null;
      let t = high > low ? (log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low)) : 0.5;
      if (a.flip) t = 1 - t;
      return bottom - t * (bottom - top);
    };
  }

  function axisMarks(a, x, place, top, bottom) {
    const marks = [svg("line", { x1: x, x2: x, y1: top, y2: bottom }), svg("text", { x, y: 14, "text-anchor": "middle", "font-weight": 600 }, a.title)];
    const values = a.kinds ? a.kinds.map((_, k) => k) : [...new Set(a.ends)];
    for (const v of values) {
      const y = place(v);
      const edge = !a.kinds && y > (top + bottom) / 2 ? 16 : -7;
      marks.push(svg("text", { x, y: y + (a.kinds ? -6 : edge), "text-anchor": "middle", style: "paint-order:stroke;stroke:var(--page);stroke-width:4px" }, a.text(v)));
    }
    return marks;
  }

  // ---------------------------------------------------------------- hypervolume

  function progress() {
    const steps = V.history;
    $("progress").hidden = !steps.length;
    if (!steps.length) return;
    const last = steps[steps.length - 1];
    $("progress-note").textContent = `${last[2].toFixed(3)} after ${plural(last[0], "trial")} and ${clock(last[1])}, the making of the dense model included; long pauses are left out.`;
    const hours = last[1] > 7200;
    const unit = hours ? 3600 : 60;
    climb("over-trials", steps.map((s) => s[0]), "finished trials");
    climb("over-time", steps.map((s) => s[1] / unit), hours ? "hours" : "minutes");
  }

  const clock = (s) => (s < 90 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`);

  function climb(id, x, title) {
    const y = V.history.map((s) => s[2]);
    const axis = { gridcolor: css("--grid"), zeroline: false, tickfont: { color: css("--dim") }, automargin: true, rangemode: "tozero" };
    Plotly.react($(id), [{
      type: "scatter", mode: "lines", x: [0, ...x], y: [0, ...y], line: { shape: "hv", color: css("--accent"), width: 2 },
      hovertemplate: `%{x:.3~g} ${title}: %{y:.3f}<extra></extra>`,
    }], sheet({ ...paper(PAPER / 2 - 10), margin: { l: 48, r: 10, t: 8, b: 40 }, xaxis: { ...axis, title: { text: title } }, yaxis: { ...axis, title: { text: "hypervolume" } }, showlegend: false, dragmode: false }), plain);
  }

  // ---------------------------------------------------------------- statistics, stops, environment

  function statistics() {
    $("strategies").append(statTable("strategy", V.strategies));
    $("importances").append(statTable("importance", V.importances));
    $("statistics").hidden = !V.strategies.length;
    const made = V.starters.filter((s) => s.name !== "dense");
    if (made.length) $("starters").append(el("p", { class: "dim" }, "Starters: " + made.map((s) =>
      `${s.name} (trial ${s.number}, ${s.front ? "on the front" : s.state === "complete" ? "dominated" : s.state})`).join(", ") + "."));
  }

  function statTable(title, rows) {
    if (!rows.length) return "";
    const most = Math.max(1, ...rows.map((r) => r.front));
    const head = [title, "front", "trials", `best ${V.objectives[metric].label}`, "least cost", "stopped", "failed"];
    const line = (r) => el("tr", {}, el("td", { class: "text" }, r.name),
      el("td", {}, el("span", { class: "share", style: `width:${(4 * r.front) / most}rem`, "aria-hidden": "true" }), ` ${r.front}`),
      ...[r.trials, written(metric, r.best), r.cheapest == null ? "–" : times(r.cheapest), r.stopped || "–", r.failed || "–"].map((t) => el("td", {}, String(t))));
    return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `By ${title}` },
      el("table", {}, el("thead", {}, el("tr", {}, ...head.map((t) => el("th", { scope: "col" }, t)))), el("tbody", {}, ...rows.map(line))));
  }

  function stops() {
    const s = V.stops;
    $("stops").hidden = !s;
    if (!s) return;
    const saved = s.spent_seconds + s.saved_seconds > 0 ? ` (${Math.round((100 * s.saved_seconds) / (s.spent_seconds + s.saved_seconds))} % of the training time)` : "";
    const text = [`${plural(s.stopped, "trial")} stopped before the last step, which saved about ${clock(s.saved_seconds)}${saved}.`];
    if (s.audited) text.push(`${plural(s.audited, "trial")} that would have been stopped ran on as an audit: ${s.wrong.length ? `${s.wrong.length} of these stops would have been wrong, the trial made the front (${s.wrong.join(", ")}).` : "none of them made the front."}`);
    else text.push("None ran on as an audit, so how many stops were wrong is not known.");
    $("stops-body").append(...text.map((t) => el("p", {}, t)), el("ul", {}, ...s.reasons.map(([why, n]) => el("li", {}, `${n} × ${why}`))));
  }

  function failures() {
    $("failures").hidden = !V.failures.length;
    $("failures-body").append(el("ul", {}, ...V.failures.map((f) =>
      el("li", {}, `${plural(f.trials.length, "trial")} (${f.trials.slice(0, 8).join(", ")}${f.trials.length > 8 ? ", …" : ""}): ${f.kind}: ${f.reason}`))));
  }

  function environment() {
    $("notes").append(...V.notes.map((text) => el("li", {}, text)));
    const list = (rows) => el("dl", {}, ...rows.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]));
    $("machine").append(list(V.environment));
    $("config").append(list(V.config));
  }

  // ---------------------------------------------------------------- all together

  let waiting = false;

  /** Redraw what depends on filters and choice, once a frame. */
  function changed() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; update(); });
  }

  async function update() {
    table();
    lines();
    pictures();
    writeAddress();
    await drawFront();
    page.dataset.drawn = String(Number(page.dataset.drawn ?? 0) + 1);
  }

  function redraw() {
    paint();
    describe();
    progress();
    changed();
  }

  async function start() {
    $("name").textContent = V.study;
    $("about").textContent = V.about.join(" · ");
    readAddress();
    if (state.chosen == null) state.chosen = firstChoice();
    paint();
    document.querySelector("main").hidden = false;
    $("front").hidden = !V.points.length && !V.dense;
    summary();
    sliders();
    controls();
    tabs();
    legend();
    $("every").checked = state.every;
    follow();
    describe();
    statistics();
    stops();
    failures();
    environment();
    progress();
    await update();
    page.dataset.ready = "true";
  }

  addEventListener("hashchange", () => { readAddress(); $("every").checked = state.every; tabs(); follow(); redraw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => {
    kept = { theme: state.theme };
    state.theme = "light";
    $("config").open = true;
    paint(); describe(); progress(); table(); lines(); pictures(); drawFront();
  });
  addEventListener("afterprint", () => {
    if (!kept) return;
    state.theme = kept.theme;
    kept = null;
    redraw();
  });
  let width = innerWidth;
  addEventListener("resize", () => { if ((width < 700) !== narrow()) changed(); width = innerWidth; });
  start();
})();
