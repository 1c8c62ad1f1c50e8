// Asks the studio for the mask of what a person points at: clicks on it and beside it, a box, or a word.
import { drafts } from "./api.js";
import { baseFor, learnedBy } from "./chosen.js";
import { complain, loadImage, make, toast } from "./dom.js";
import { said, t } from "./i18n.js";

const HINTS = { point: () => t("finding.point"), beside: () => t("finding.beside"), box: () => t("finding.box") };

export class Finding {
  constructor(editor) {
    this.editor = editor;
    this.forget();
  }

  hint(tool) {
    return HINTS[tool]?.() || "";
  }

  // The next press begins a new question.
  forget() {
    this.clicks = [];
    this.before = null;
  }

  click([x, y], on) {
    const { width, height } = this.editor.canvas;
    this.clicks.push([Math.min(1, Math.max(0, x / width)), Math.min(1, Math.max(0, y / height)), on]);
    if (!this.clicks.some((c) => c[2])) return toast(t("finding.first"));
    return this.ask({ clicks: this.clicks });
  }

  box(from, to) {
    const { width, height } = this.editor.canvas;
    const share = (a, whole) => Math.min(1, Math.max(0, a / whole));
    const [left, right] = [share(from[0], width), share(to[0], width)].sort((a, b) => a - b);
    const [top, bottom] = [share(from[1], height), share(to[1], height)].sort((a, b) => a - b);
    if (right - left < 0.02 || bottom - top < 0.02) return null;
    this.forget();
    return this.ask({ box: [left, top, right, bottom] });
  }

  word(noun) {
    this.forget();
    return this.ask({ word: noun });
  }

  async ask(pointed) {
    const { editor } = this;
    const layer = editor.layers[editor.thing];
    if (!this.before) {
      editor.remember();
      this.before = { copy: layer.copy() };
    }
    const { before } = this;
    editor.busy(true);
    try {
      const { blob, by } = await drafts.find(editor.draft.id, editor.shot.id, pointed, baseFor(editor.draft.id));
      const url = URL.createObjectURL(blob);
      layer.restore(before.copy);
      layer.add(await loadImage(url));
      URL.revokeObjectURL(url);
      editor.yield();
      editor.keep();
      editor.canvas.dataset.foundBy = by;
    } catch (error) {
      complain(error);
    } finally {
      editor.busy(false);
    }
  }
}

// What the loss sees of this picture, beside the picture: as it was chosen under Train, or with another method.
export function seenView(draft, shot, methods, before) {
  const picture = make("img", { alt: t("finding.seen"), id: "seen-picture" });
  const words = make("p", { class: "s-hint", role: "status" }, t("finding.looking"));
  const show = async (method) => {
    words.textContent = t("finding.looking");
    try {
      await before();
      const chosen = learnedBy(draft, method);
      const seen = await drafts.seen(draft.id, shot.id, chosen);
      picture.src = URL.createObjectURL(seen.blob);
      await picture.decode();
      picture.scrollIntoView({ behavior: "smooth", block: "nearest" });
      words.textContent = t("finding.on", { base: chosen.base.split(/[\\/]/).pop(), seen: said(seen.said) });
    } catch (error) {
      words.textContent = said(error.message);
    }
  };
  const choose = make("select", { "aria-label": t("finding.method"), id: "seen-method", onchange: (e) => show(e.target.value) },
    ...methods.map((m) => make("option", { value: m }, m)));
  choose.value = learnedBy(draft).method;
  if (!choose.value) choose.value = methods[0];
  show(choose.value);
  return make("div", { class: "s-seen" }, make("label", {}, make("span", {}, t("finding.by")), choose), picture, words);
}
