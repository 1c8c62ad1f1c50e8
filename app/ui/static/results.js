// What the lab found, as tables, plots and grids.
import { scatter } from "./chart.js";
import { button, make } from "./dom.js";
import { duration, size } from "./studio.js";

const number = (value, half = null) =>
  (value === null || value === undefined ? "–" : value.toFixed(3) + (half === null || half === undefined ? "" : ` ± ${half.toFixed(3)}`));
const share = (value) => (value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`);

function table(heads, rows, attributes = {}) {
  return make("div", { class: "s-wide" }, make("table", { class: "s-table", ...attributes },
    make("thead", {}, make("tr", {}, ...heads.map((h) => make("th", { scope: "col" }, h)))),
    make("tbody", {}, ...rows.map(([first, ...rest]) => make("tr", {}, make("th", { scope: "row" }, first),
      ...rest.map((cell) => make("td", {}, cell)))))));
}

export function result(found, job) {
  if (found.kind === "compare") return comparison(found);
  if (found.kind === "evaluate") return evaluation(found);
  if (found.kind === "preflight") return make("div", { class: "s-note good" }, found.says);
  return make("div", { class: "s-findings" }, make("div", { class: "s-note good" }, found.why),
    make("p", { class: "s-hint" }, `It stands with the training '${job.name}' too, where each can be kept.`), curve(found));
}

// Methods side by side: what each cost, how like and how obedient it is, and what it paints.
function comparison({ rows, prompts, encoder }) {
  const trained = (row, text) => (row.seconds ? text : "–");
  const cells = rows.map((row) => [row.label, trained(row, duration(row.seconds)), trained(row, size(row.peak_bytes)),
    trained(row, size(row.file_bytes)), number(row.figures.identity, row.figures.interval?.identity),
    number(row.figures.prompt, row.figures.interval?.prompt), share(row.figures.copied)]);
  const points = rows.filter((row) => row.figures.prompt !== null).map((row) => ({ label: row.label, curve: row.method,
    x: row.figures.prompt, y: row.figures.identity, xHalf: row.figures.interval?.prompt, yHalf: row.figures.interval?.identity }));
  return make("div", { class: "s-result", id: "comparison" },
    table(["", "Time", "Peak memory", "File", "Likeness", "Prompt following", "Copied"], cells),
    make("p", { class: "s-hint" }, `Judged by ${encoder}; ± is half a 95% interval over prompts. Copied: pictures that are nearer `
      + "to one of yours than yours are to each other."),
    points.length > 1 ? scatter(points, "prompt following", "likeness")
      : make("p", { class: "s-hint" }, "This judge reads no words, so there is nothing to plot likeness against."),
    make("div", { class: "s-wide" }, make("table", { class: "s-sheet", id: "comparison-grid" },
      make("thead", {}, make("tr", {}, make("td", {}), ...prompts.map((p) => make("th", { scope: "col" }, p.replace("{}", "…").replace("{noun}", "…"))))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, make("th", { scope: "row" }, row.label),
        ...row.pictures.map((source, n) => make("td", {}, make("a", { href: source, target: "_blank" },
          make("img", { src: source, loading: "lazy", alt: `${row.label}: ${prompts[n] || ""}` }))))))))));
}

function evaluation(found) {
  const facts = found.encoders.map((f) => [f.encoder, number(f.identity, f.interval.identity), number(f.prompt, f.interval.prompt),
    share(f.copied), f.retrieval === null ? "–" : `${share(f.retrieval)} of ${f.look_alikes + 1}`, number(f.diversity)]);
  return make("div", { class: "s-result", id: "evaluation" },
    table(["Judge", "Likeness", "Prompt following", "Copied", "Right one", "Diversity"], facts),
    make("p", { class: "s-hint" }, `${found.images} pictures of '${found.adapter}'; ± is half a 95% interval over prompts. `
      + "The first judge's figures stand on its model card too."));
}

// The checkpoint to use with the reason, the curve, and each that was looked at to keep.
export function recommendation(found, keep) {
  const rows = found.checkpoints.map((c) => [`step ${c.step}${c.step === found.step ? " (recommended)" : ""}`,
    number(c.likeness.mean, c.likeness.interval), c.prompt ? number(c.prompt.mean, c.prompt.interval) : "–",
    button("Keep this one", () => keep(c.step), { "aria-label": `Keep the checkpoint of step ${c.step}` })]);
  return make("div", { class: "s-result", id: "recommended" }, make("div", { class: "s-note good" }, found.why), curve(found),
    table(["Checkpoint", "Likeness", "Prompt following", ""], rows),
    make("p", { class: "s-hint" }, `Judged by ${found.encoder}.`));
}

function curve(found) {
  const read = found.checkpoints.every((c) => c.prompt);
  const points = found.checkpoints.map((c) => ({ label: `${c.step}`, curve: "steps", chosen: c.step === found.step,
    x: read ? c.prompt.mean : c.step, y: c.likeness.mean, xHalf: read ? c.prompt.interval : 0, yHalf: c.likeness.interval }));
  return scatter(points, read ? "prompt following" : "step", "likeness");
}
