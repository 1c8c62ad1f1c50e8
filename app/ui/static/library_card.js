// One adapter as a card: its words to copy, name and tags to change, ways out.
import { button, complain, make } from "./dom.js";
import { bytes, day, number, t } from "./i18n.js";
import { about } from "./library_about.js";
import { library, previewAt } from "./library_api.js";
import { exportAs } from "./library_export.js";

async function copy(text, where) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without the permission, or not on localhost: the way that needs none.
    const field = make("textarea", { class: "s-unseen" });
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  where.dataset.copied = t("library.copied");
  setTimeout(() => delete where.dataset.copied, 1600);
}

const words = (entry) => (entry.phrases.length
  ? entry.phrases.map((phrase) => {
    const chip = button(phrase, () => copy(phrase, chip), { class: "s-button s-copy", title: t("library.copy") });
    return chip;
  })
  : [make("small", {}, t("library.no_trigger"))]);

// A text that becomes a field when it is pressed; Enter keeps, Escape leaves it as it was.
function editable(shown, value, label, keep) {
  const field = make("input", { type: "text", value, "aria-label": label, maxlength: 900 });
  let done = false;
  const end = async (save) => {
    if (done) return;
    done = true;
    if (!save || field.value === value) field.replaceWith(shown);
    else await keep(field.value).catch((error) => { complain(error); field.replaceWith(shown); });
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") end(true);
    if (event.key === "Escape") end(false);
  });
  field.addEventListener("blur", () => end(true));
  shown.replaceWith(field);
  field.focus();
  field.select();
}

function scores(entry) {
  const { identity, prompt, interval = {}, encoder } = entry.figures;
  const said = (value, half) => number(value, 2) + (half === undefined ? "" : ` ± ${number(half, 2)}`);
  const shown = [identity !== undefined && t("library.likeness", { value: said(identity, interval.identity) }),
                 prompt !== undefined && t("library.following", { value: said(prompt, interval.prompt) })].filter(Boolean);
  return shown.length ? make("div", { class: "s-scores", title: t("library.measured_by", { encoder: encoder || "?" }) },
    ...shown.map((s) => make("span", {}, s))) : null;
}

export function card(entry, acts) {
  const change = async (fields) => { document.activeElement?.blur(); await library.change(entry.name, fields); acts.changed(); };
  const name = make("b", {}, entry.name);
  const tags = make("div", { class: "s-chips" },
    ...entry.tags.map((tag) => button(tag, () => acts.choose(tag), { class: "s-button s-chip", "data-key": `tag ${entry.name} ${tag}` })),
    button(entry.tags.length ? "✎" : t("library.add_tags"), () => editable(tags, entry.tags.join(", "), t("library.tags"),
      (text) => change({ tags: text.split(",") })), { class: "s-button s-chip s-add", "data-act": "tags", "data-key": `tags ${entry.name}`, title: t("library.tags_hint") }));
  const menu = make("div", { class: "s-menu", hidden: true }, ...entry.exports.map((way) =>
    button(way.approximate ? t("library.near", { title: way.title }) : way.title, () => exportAs(entry, way),
      { "data-format": way.format })));
  const picture = entry.preview
    ? make("img", { class: "s-thumb", loading: "lazy", src: previewAt(entry), alt: t("library.preview_of", { name: entry.name }) })
    : make("div", { class: "s-thumb s-none" }, entry.name.slice(0, 1).toUpperCase());
  return make("article", { class: "s-card", "data-name": entry.name },
    make("button", { class: "s-open", type: "button", "data-key": `look ${entry.name}`, onclick: () => about(entry, acts), "aria-label": t("library.about_of", { name: entry.name }) }, picture),
    make("div", { class: "s-title" }, name, button("✎", () => editable(name, entry.name, t("library.name"),
      (text) => change({ name: text })), { class: "s-button s-icon", "data-act": "rename", "data-key": `rename ${entry.name}`, "aria-label": t("library.rename", { name: entry.name }) })),
    make("div", { class: "s-words" }, ...words(entry)),
    make("small", {}, t("library.made_by", { method: entry.method, base: entry.base }), make("br"),
      `${bytes(entry.bytes)} · ${day(entry.created || entry.changed * 1000)}`),
    scores(entry), tags,
    make("div", { class: "s-acts" },
      button(t("library.export"), (e) => { menu.hidden = !menu.hidden; e.currentTarget.setAttribute("aria-expanded", String(!menu.hidden)); }, { "data-act": "export", "data-key": `export ${entry.name}`, "aria-expanded": "false" }),
      button(t("library.about"), () => about(entry, acts), { "data-act": "about", "data-key": `about ${entry.name}` }),
      button(t("library.delete"), () => acts.remove(entry.name), { "data-act": "delete" })),
    menu);
}
