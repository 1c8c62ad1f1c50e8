// An export: written, read back, and what came of that shown, before anything is downloaded.
import { dialog } from "./dialog.js";
import { make } from "./dom.js";
import { bytes, said, t } from "./i18n.js";
import { downloadAt, library } from "./library_api.js";

const SHOWN = 200; // keys of a list

function keys(title, names) {
  const more = names.length > SHOWN ? [make("p", { class: "s-hint" }, t("export.more", { n: names.length - SHOWN }))] : [];
  return make("details", {}, make("summary", {}, title),
    make("ul", { class: "s-keys" }, ...names.slice(0, SHOWN).map((name) => make("li", {}, name))), ...more);
}

function checked(report) {
  const good = !report.unmatched.length;
  return [
    make("div", { class: `s-note ${good ? "good" : "bad"}`, id: "check" },
      t("export.read_back", { matched: report.matched, n: report.layers,
                              difference: report.max_difference ? report.max_difference.toExponential(1) : 0 })),
    ...report.notes.map((note) => make("div", { class: "s-note" }, said(note))),
    ...report.files.map((file) => make("div", { class: "s-file" },
      make("b", {}, file.file), make("small", {}, t("export.keys", { matched: file.matched.length, n: file.keys })),
      keys(t("export.matched", { n: file.matched.length }), file.matched),
      file.unmatched.length ? keys(t("export.unmatched", { n: file.unmatched.length }), file.unmatched) : null)),
    make("a", { class: "s-button s-primary s-download", href: downloadAt(report.id), download: report.download },
      t("export.download", { file: report.download, size: bytes(report.bytes) })),
  ];
}

export async function exportAs(entry, way) {
  const { box, body } = dialog(t("export.title", { name: entry.name, format: way.title }), { id: "export" },
    make("p", { class: "s-hint" }, way.approximate ? t("export.making_near") : t("export.making")));
  try {
    body.replaceChildren(...checked(await library.check(entry.name, way)));
  } catch (error) {
    body.replaceChildren(make("div", { class: "s-note bad" }, said(error.message)));
  }
  box.dataset.ready = "true";
}
