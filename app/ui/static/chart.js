// Plots as SVG, drawn from numbers. What people named goes in as text.
import { decimal, t } from "./i18n.js";

const SPACE = "http://www.w3.org/2000/svg";
const COLOURS = ["#c2410c", "#2563eb", "#16a34a", "#9333ea", "#ca8a04", "#0d9488", "#78716c"];
const MOST = 400; // points of a line

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SPACE, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const words = (x, y, text, more = {}) => draw("text", { x, y, "font-size": 11, fill: "currentColor", ...more }, text);
const rule = (x1, y1, x2, y2) => draw("line", { x1, y1, x2, y2, stroke: "currentColor", "stroke-opacity": 0.25 });

// An exponential mean that starts unbiased, as Adam's does.
export function smoothed(values, decay = 0.95) {
  let mean = 0;
  let weight = 0;
  return values.map((value) => {
    mean = decay * mean + (1 - decay) * value;
    weight = decay * weight + (1 - decay);
    return mean / weight;
  });
}

// Losses as [step, value] pairs: each step thin, smoothed bold.
export function lossCurve(losses, total) {
  const top = Math.max(...losses.map(([, value]) => value)) * 1.05 || 1;
  const every = Math.ceil(losses.length / MOST);
  const mean = smoothed(losses.map(([, value]) => value));
  const line = (values) => losses.map(([step], n) => [step, values[n]])
    .filter((_, n) => n % every === 0 || n === losses.length - 1)
    .map(([step, value]) => `${(44 + (546 * step) / Math.max(total, 1)).toFixed(1)},${(132 - (120 * value) / top).toFixed(1)}`)
    .join(" ");
  const last = mean[mean.length - 1];
  return draw("svg", { viewBox: "0 0 600 156", role: "img", class: "s-plot",
    "aria-label": t("chart.loss_of", { n: losses.length, loss: decimal(last, 4) }) },
    rule(44, 132, 590, 132), rule(44, 12, 44, 132),
    words(38, 16, decimal(top, 2), { "text-anchor": "end" }), words(38, 135, "0", { "text-anchor": "end" }),
    words(590, 148, t("run.at_step", { step: total }), { "text-anchor": "end" }),
    words(44, 148, t("chart.loss")),
    draw("polyline", { points: line(losses.map(([, value]) => value)), fill: "none", stroke: COLOURS[0], "stroke-opacity": 0.3 }),
    draw("polyline", { points: line(mean), fill: "none", stroke: COLOURS[0], "stroke-width": 2.5 }));
}

function scale(values, from, to) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) * 0.12;
  const [start, end] = [low - room, high + room];
  return { start, end, at: (v) => from + ((v - start) / (end - start)) * (to - from) };
}

// A place for each label beside its point where it covers no other and no point, the nearest first.
function labels(points) {
  const letter = innerWidth <= 520 ? 9.6 : 6.4; // as wide as one is, by the font that the style sheet gives
  const high = 2 * letter;
  const taken = points.map(({ x, y }) => [x - 7, y - 7, x + 7, y + 7]);
  const common = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const rows = [0.4, -0.9, 1.4, -1.9, 2.4, -2.9, 3.4, -3.9].map((row) => row * high);
  return points.map(({ x, y, text }) => {
    const wide = text.length * letter;
    const places = rows.flatMap((dy) => [1, -1].map((side) => ({ side, at: y + dy,
      box: side > 0 ? [x + 10, y + dy - 0.8 * high, x + 10 + wide, y + dy + 0.2 * high] : [x - 10 - wide, y + dy - 0.8 * high, x - 10, y + dy + 0.2 * high] })));
    const cost = ({ box }) => taken.reduce((sum, other) => sum + common(box, other), 0) + wide * high - common(box, [56, 8, 592, 272]);
    const best = places.reduce((a, b) => (cost(b) < cost(a) - 1 ? b : a));
    taken.push(best.box);
    return { x: x + 10 * best.side, y: best.at, anchor: best.side > 0 ? "start" : "end" };
  });
}

// Points {label, curve, x, y, xHalf, yHalf, chosen}: likeness over prompt following; those of one curve are joined.
export function scatter(points, xTitle, yTitle) {
  const x = scale(points.flatMap((p) => [p.x - (p.xHalf || 0), p.x + (p.xHalf || 0)]), 56, 580);
  const y = scale(points.flatMap((p) => [p.y - (p.yHalf || 0), p.y + (p.yHalf || 0)]), 272, 14);
  const curves = [...new Set(points.map((p) => p.curve))];
  const svg = draw("svg", { viewBox: "0 0 600 316", role: "img", class: "s-plot", "aria-label":
    t("chart.over", { y: yTitle, x: xTitle, points: points.map((p) => `${p.label} ${decimal(p.y, 3)} / ${decimal(p.x, 3)}`).join("; ") }) },
    rule(56, 272, 590, 272), rule(56, 10, 56, 272),
    words(590, 306, `${xTitle} →`, { "text-anchor": "end" }), words(60, 22, `↑ ${yTitle}`),
    words(56, 287, decimal(x.start, 2)), words(580, 287, decimal(x.end, 2), { "text-anchor": "end" }),
    words(50, 272, decimal(y.start, 2), { "text-anchor": "end" }), words(50, 40, decimal(y.end, 2), { "text-anchor": "end" }));
  const placed = labels(points.map((p) => ({ x: x.at(p.x), y: y.at(p.y), text: p.label })));
  curves.forEach((curve, n) => {
    const colour = COLOURS[n % COLOURS.length];
    const mine = points.filter((p) => p.curve === curve);
    if (mine.length > 1) svg.append(draw("polyline", { fill: "none", stroke: colour, "stroke-opacity": 0.6,
      points: mine.map((p) => `${x.at(p.x)},${y.at(p.y)}`).join(" ") }));
    for (const p of mine) {
      const bar = (x1, y1, x2, y2) => draw("line", { x1, y1, x2, y2, stroke: colour, "stroke-opacity": 0.45 });
      if (p.xHalf) svg.append(bar(x.at(p.x - p.xHalf), y.at(p.y), x.at(p.x + p.xHalf), y.at(p.y)));
      if (p.yHalf) svg.append(bar(x.at(p.x), y.at(p.y - p.yHalf), x.at(p.x), y.at(p.y + p.yHalf)));
      const place = placed[points.indexOf(p)];
      svg.append(draw("circle", { cx: x.at(p.x), cy: y.at(p.y), r: p.chosen ? 8 : 5, fill: colour }),
        words(place.x, place.y, p.label, { class: "s-point", "text-anchor": place.anchor, "font-weight": p.chosen ? 700 : 400 }));
    }
  });
  return svg;
}
