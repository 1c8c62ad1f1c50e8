// All about one adapter: where it came from, notes, model card.
import { dialog } from "./dialog.js";
import { button, complain, make } from "./dom.js";
import { day, t } from "./i18n.js";
import { library } from "./library_api.js";
import { markdown, parted } from "./markdown.js";
import { openRoom } from "./rooms.js";
import { later } from "./saving.js";

const row = (label, ...value) => make("div", { class: "s-fact" }, make("dt", {}, label), make("dd", {}, ...value));

function source(origin) {
  if (origin.run) {
    return [row(t("origin.run"), make("button", { type: "button", class: "s-link",
      onclick: (e) => { e.target.closest("dialog").close(); openRoom("train"); } }, origin.run))];
  }
  return [row(t("origin.from"), origin.imported_from ? t("origin.file", { file: origin.imported_from }) : t("origin.unknown"))];
}

function came(origin) {
  const settings = Object.entries(origin.settings);
  return make("dl", { class: "s-origin", id: "origin" }, ...source(origin),
    origin.created ? row(t("origin.made"), day(origin.created)) : null,
    row(t("origin.base"), origin.base.name || origin.base.family,
      origin.base.hash ? make("code", {}, origin.base.hash) : ` (${t("origin.no_hash")})`),
    row(t("origin.references"), origin.references ? t("origin.pictures", { n: origin.references }) : t("origin.no_pictures"),
      ...origin.hashes.map((hash) => make("code", { title: hash }, hash.slice(0, 12)))),
    origin.device ? row(t("origin.device"), `${origin.device}, ${origin.precision === "no" ? "fp32" : origin.precision}`) : null,
    settings.length ? row(t("origin.settings"), make("details", {}, make("summary", {}, t("origin.show", { n: settings.length })),
      make("ul", { class: "s-keys" }, ...settings.map(([name, value]) => make("li", {}, `${name}: ${value}`))))) : null);
}

function notes(entry, acts) {
  const save = later(async (text) => {
    await library.change(entry.name, { notes: text });
    acts.changed();
  });
  const field = make("textarea", { id: "notes", rows: 3, maxlength: 4000, placeholder: t("library.notes_hint"),
    oninput: (e) => save(e.target.value) });
  field.value = entry.notes;
  return { field, flush: save.flush };
}

// Whether it shows a person; that can be said of a file from elsewhere, and not be taken back.
function person(entry, acts) {
  const place = make("p", { id: "shows-person" });
  const mark = async () => {
    if (!window.confirm(t("library.person_sure", { name: entry.name }))) return;
    try {
      await library.change(entry.name, { kind: "person" });
      place.replaceChildren(t("library.person"));
      acts.changed();
    } catch (error) {
      complain(error);
    }
  };
  place.append(entry.concepts.some((c) => c.kind === "person") ? t("library.person")
    : button(t("library.person_mark"), mark, { "data-act": "person", title: t("library.person_hint") }));
  return place;
}

export async function about(entry, acts) {
  try {
    const [whole, text] = await Promise.all([library.get(entry.name), library.card(entry.name)]);
    const { header, body } = parted(text);
    const written = notes(whole, acts);
    const { box } = dialog(entry.name, { id: "about" },
      make("h4", {}, t("origin.title")), came(whole.origin), person(whole, acts),
      make("h4", {}, t("library.notes")), written.field,
      make("h4", {}, t("library.card")), make("div", { class: "s-model-card", id: "model-card" }, ...markdown(body)),
      make("details", { class: "s-fold" }, make("summary", {}, t("library.card_text")),
        make("pre", {}, header ? `---\n${header}\n---\n${body}` : body)));
    box.addEventListener("close", () => written.flush().catch(() => {})); // `later` says it and tries again
  } catch (error) {
    complain(error);
  }
}
