/** Printing: paper is light and has its own width, so the page is drawn for it and drawn back. */

import { $ } from "./elements.js";
import { state } from "./state.js";

let theme = null;

/** Have ``draw`` called for the paper, and ``redraw`` for the screen after it. */
export function followPrinting(draw, redraw) {
  addEventListener("beforeprint", () => {
    theme = state.theme;
    Object.assign(state, { theme: "light", printing: true });
    $("config").open = true;
    draw();
  });
  addEventListener("afterprint", () => {
    if (!state.printing) return;
    Object.assign(state, { theme, printing: false });
    redraw();
  });
}
