/** Draws the page, and draws again what a change touches. */

import { readAddress, writeAddress } from "./address.js";
import { follow, sliders } from "./budgets.js";
import { describe } from "./choice.js";
import { controls, tabs } from "./controls.js";
import { $, page } from "./elements.js";
import "./errors.js";
import { environment, failures, stops } from "./facts.js";
import { legend } from "./legend.js";
import { lines } from "./parallel.js";
import { pictures } from "./pictures.js";
import { drawFront } from "./plot.js";
import { followPrinting } from "./printing.js";
import { progress } from "./progress.js";
import { narrow } from "./sheets.js";
import { changed, state, whenChanged, whenChosen } from "./state.js";
import { statistics } from "./statistics.js";
import { firstChoice, V } from "./study.js";
import { summary } from "./summary.js";
import { table } from "./table.js";
import { paint } from "./theme.js";

function draw() {
  table();
  lines();
  pictures();
}

async function update() {
  draw();
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

function drawForPaper() {
  paint();
  describe();
  progress();
  draw();
  drawFront();
}

function boxes() {
  for (const box of ["every", "log", "whole"]) $(box).checked = state[box];
}

function followAddress() {
  readAddress();
  boxes();
  tabs();
  follow();
  redraw();
}

/** Redraw where a resize makes the window narrow or wide. */
function followWidth() {
  let before = narrow();
  addEventListener("resize", () => {
    if (before !== narrow()) changed();
    before = narrow();
  });
}

/** What is drawn once, in the order in which it is read. */
function once() {
  $("name").textContent = V.study;
  $("about").textContent = V.about.join(" · ");
  document.querySelector("main").hidden = false;
  $("front").hidden = !V.points.length && !V.dense;
  summary();
  sliders();
  controls(redraw);
  legend();
  statistics();
  stops();
  failures();
  environment();
}

async function start() {
  readAddress();
  state.chosen ??= firstChoice();
  paint();
  once();
  tabs();
  boxes();
  follow();
  describe();
  progress();
  await update();
  page.dataset.ready = "true";
}

whenChosen(describe);
whenChanged(update);
addEventListener("hashchange", followAddress);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
followPrinting(drawForPaper, redraw);
followWidth();
start();
