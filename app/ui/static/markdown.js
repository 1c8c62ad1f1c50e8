// Model cards as elements: headings, tables, lists, paragraphs and `code`. All else stays text, markup too.
import { make } from "./dom.js";

// A card's header for the hub, between two lines of ---, and the rest.
export function parted(text) {
  const found = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(text.replaceAll("\r\n", "\n"));
  return found ? { header: found[1], body: found[2] } : { header: "", body: text };
}

export function blocks(text) {
  const found = [];
  let last = null;
  for (const line of text.replaceAll("\r\n", "\n").split("\n")) {
    const heading = /^(#{1,4}) (.*)$/.exec(line);
    const kind = !line.trim() ? null : heading ? "heading" : line.startsWith("|") ? "table" : /^[-*] /.test(line) ? "list" : "text";
    if (kind === null) last = null;
    else if (heading) { found.push({ kind, level: heading[1].length, text: heading[2] }); last = null; }
    else if (last?.kind === kind) last.lines.push(line);
    else found.push(last = { kind, lines: [line] });
  }
  return found;
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((c) => c.trim().replaceAll("\\|", "|"));

const spans = (text) => text.split(/(`[^`]*`)/).filter(Boolean)
  .map((part) => (/^`.*`$/.test(part) ? make("code", {}, part.slice(1, -1)) : part));

function table(lines) {
  const [head, ...rows] = lines.filter((line) => !/^\|[\s|:-]+\|$/.test(line)).map(cells);
  return make("div", { class: "s-scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((c) => make("th", {}, ...spans(c))))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((c) => make("td", {}, ...spans(c))))))));
}

export function markdown(text) {
  return blocks(text).map((block) => {
    if (block.kind === "heading") return make(`h${Math.min(block.level + 2, 6)}`, {}, ...spans(block.text));
    if (block.kind === "table") return table(block.lines);
    if (block.kind === "list") return make("ul", {}, ...block.lines.map((l) => make("li", {}, ...spans(l.slice(2)))));
    return make("p", {}, ...spans(block.lines.join(" ")));
  });
}
