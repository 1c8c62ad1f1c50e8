// What the lab found, as tables, plots and grids.
import { scatter } from "./chart.js";
import { button, make } from "./dom.js";
import { bytes, decimal, said, t } from "./i18n.js";
import { duration } from "./studio.js";

const number = (value, half = null) =>
  (value === null || value === undefined ? "–" : decimal(value, 3) + (half === null || half === undefined ? "" : ` ± ${decimal(half, 3)}`));
const share = (value) => (value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`);

function table(heads, rows, attributes = {}) {
  return make("div", { class: "s-wide", tabindex: "0", role: "region", "aria-label": heads.filter(Boolean).join(", ") }, make("table", { class: "s-table", ...attributes },
    make("thead", {}, make("tr", {}, ...heads.map((h) => make("th", { scope: "col" }, h)))),
    make("tbody", {}, ...rows.map(([first, ...rest]) => make("tr", {}, make("th", { scope: "row" }, first),
      ...rest.map((cell) => make("td", {}, cell)))))));
}

export function result(found, job) {
  if (found.kind === "compare") return comparison(found);
  if (found.kind === "evaluate") return evaluation(found);
  if (found.kind === "preflight") return make("div", { class: "s-note good" }, said(found.says));
  return make("div", { class: "s-findings" }, make("div", { class: "s-note good" }, said(found.why)),
    make("p", { class: "s-hint" }, t("results.with", { name: job.name })), curve(found));
}

// Methods side by side: what each cost, how like and how obedient it is, and what it paints.
function comparison({ rows, prompts, encoder }) {
  const trained = (row, text) => (row.seconds ? text : "–");
  const cells = rows.map((row) => [said(row.label), trained(row, duration(row.seconds)), trained(row, bytes(row.peak_bytes)),
    trained(row, bytes(row.file_bytes)), number(row.figures.identity, row.figures.interval?.identity),
    number(row.figures.prompt, row.figures.interval?.prompt), share(row.figures.copied)]);
  const points = rows.filter((row) => row.figures.prompt !== null).map((row) => ({ label: said(row.label), curve: row.method,
    x: row.figures.prompt, y: row.figures.identity, xHalf: row.figures.interval?.prompt, yHalf: row.figures.interval?.identity }));
  return make("div", { class: "s-result", id: "comparison" },
    table(["", t("results.time"), t("results.memory"), t("results.file"), t("results.likeness"), t("results.following"), t("results.copied")], cells),
    make("p", { class: "s-hint" }, t("results.judged", { encoder })),
    points.length > 1 ? scatter(points, t("results.following"), t("results.likeness"))
      : make("p", { class: "s-hint" }, t("results.wordless")),
    make("div", { class: "s-wide" }, make("table", { class: "s-sheet", id: "comparison-grid" },
      make("thead", {}, make("tr", {}, make("td", {}), ...prompts.map((p) => make("th", { scope: "col" }, p.replace("{}", "…").replace("{noun}", "…"))))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, make("th", { scope: "row" }, said(row.label)),
        ...row.pictures.map((source, n) => make("td", {}, make("a", { href: source, target: "_blank" },
          make("img", { src: source, loading: "lazy", alt: `${said(row.label)}: ${prompts[n] || ""}` }))))))))));
}

function evaluation(found) {
  const facts = found.encoders.map((f) => [f.encoder, number(f.identity, f.interval.identity), number(f.prompt, f.interval.prompt),
    share(f.copied), f.retrieval === null ? "–" : t("results.right_of", { share: share(f.retrieval), n: f.look_alikes + 1 }), number(f.diversity)]);
  return make("div", { class: "s-result", id: "evaluation" },
    table([t("results.judge"), t("results.likeness"), t("results.following"), t("results.copied"), t("results.right"), t("results.diversity")], facts),
    make("p", { class: "s-hint" }, t("results.measured", { n: found.images, name: found.adapter })));
}

// The checkpoint to use with the reason, the curve, and each that was looked at to keep.
export function recommendation(found, keep) {
  const rows = found.checkpoints.map((c) => [c.step === found.step ? t("results.recommended", { step: c.step }) : t("run.at_step", { step: c.step }),
    number(c.likeness.mean, c.likeness.interval), c.prompt ? number(c.prompt.mean, c.prompt.interval) : "–",
    button(t("results.keep"), () => keep(c.step), { "aria-label": t("results.keep_of", { step: c.step }) })]);
  return make("div", { class: "s-result", id: "recommended" }, make("div", { class: "s-note good" }, said(found.why)), curve(found),
    table([t("results.checkpoint"), t("results.likeness"), t("results.following"), ""], rows),
    make("p", { class: "s-hint" }, t("results.by", { encoder: found.encoder })));
}

function curve(found) {
  const read = found.checkpoints.every((c) => c.prompt);
  const points = found.checkpoints.map((c) => ({ label: `${c.step}`, curve: "steps", chosen: c.step === found.step,
    x: read ? c.prompt.mean : c.step, y: c.likeness.mean, xHalf: read ? c.prompt.interval : 0, yHalf: c.likeness.interval }));
  return scatter(points, read ? t("results.following") : t("run.step"), t("results.likeness"));
}
