/** Counts the errors of the page in its data-errors, where a test finds them. */

import { page } from "./elements.js";

page.dataset.errors = "0";
addEventListener("error", () => { page.dataset.errors = String(+page.dataset.errors + 1); });
addEventListener("unhandledrejection", () => {
  page.dataset.errors = String(+page.dataset.errors + 1);
});
