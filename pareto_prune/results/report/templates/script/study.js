/** The study as the page was given it, and what is derived from it once: objectives, front, dense model. */

export const V = JSON.parse(document.getElementById("view").textContent);

export const names = V.objectives.map((o) => o.name);
export const metric = names.indexOf(V.metric);
export const costs = names.map((_, i) => i).filter((i) => i !== metric);
export const byNumber = new Map(V.points.map((p) => [p.number, p]));
export const front = V.points.filter((p) => p.front).sort((a, b) => b.values[metric] - a.values[metric] || a.number - b.number);
export const recommended = V.recommended ? V.recommended.trial : null;

export const better = (i) => (V.objectives[i].direction === "minimize" ? -1 : 1);
export const isSpeed = (i) => V.objectives[i].speed;
export const isDense = (p) => V.dense != null && p.front && p.starter === "dense";
export const firstChoice = () => recommended ?? V.knee ?? (front.length ? front[0].number : null);
export const canTurn = () => costs.length >= 2;
export const anyEstimate = V.objectives.some((o) => o.estimated);
