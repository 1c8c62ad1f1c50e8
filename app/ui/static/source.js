// A picture to paint on, whole or inside a painted mask.
import { imageAt, images, reach, sourceAt } from "./api.js";
import { Cursor } from "./cursor.js";
import { button, complain, dropZone, field, holdFocus, loadImage, make, toolRow } from "./dom.js";
import { decimal, t } from "./i18n.js";
import { Layer } from "./layers.js";

const TINT = "#c2410c";
const UNDO = 12;

// A picture that the server keeps for a day; null when it is gone.
export async function kept(id, mask = false) {
  const answer = await reach(sourceAt(id, mask));
  return answer.ok ? new File([await answer.blob()], "picture.png", { type: "image/png" }) : null;
}

export async function opened(file) {
  const address = URL.createObjectURL(file);
  return { file, address, shown: await loadImage(address) };
}

// `grey` as a layer of its own size.
export async function layerOf(grey) {
  const { shown, address } = await opened(grey);
  const layer = new Layer(shown.naturalWidth, shown.naturalHeight);
  layer.add(shown);
  URL.revokeObjectURL(address);
  return layer;
}

export class Source {
  // `changed()` when there is another picture or mask.
  constructor(changed) {
    Object.assign(this, { changed, picture: null, mask: null, sent: null });
  }

  async take(file) {
    const picture = await opened(file);
    if (this.picture) URL.revokeObjectURL(this.picture.address);
    this.picture = picture;
    this.drop();
  }

  // After a reload. One that the server does not keep any more is not spoken of.
  async recall(id) {
    const file = await kept(id);
    if (!file || this.picture) return;
    const grey = await kept(id, true);
    const [picture, mask] = [await opened(file), grey && await layerOf(grey)];
    Object.assign(this, { picture, mask, sent: Promise.resolve(id) });
  }

  async takeOwn(name) {
    const answer = await reach(imageAt(name));
    if (!answer.ok) throw new Error(t("source.gone"));
    await this.take(new File([await answer.blob()], name, { type: "image/png" }));
  }

  drop() {
    this.mask = this.sent = null;
    this.changed();
  }

  remove() {
    URL.revokeObjectURL(this.picture.address);
    this.picture = null;
    this.drop();
  }

  // What the server calls it; '' without one.
  async id() {
    if (!this.picture) return "";
    this.sent ||= this.send();
    return this.sent;
  }

  async send() {
    try {
      return (await images.source(this.picture.file, this.mask && await this.mask.mask())).source;
    } catch (error) {
      this.sent = null;
      throw error;
    }
  }

  element(state, keep) {
    const input = make("input", { type: "file", accept: "image/*", hidden: true, id: "start-file",
      onchange: (e) => { const [file] = e.target.files; e.target.value = ""; if (file) this.take(file).catch(complain); } });
    const box = make("details", { class: "s-more", id: "from-picture", open: Boolean(this.picture) }, make("summary", {}, t("source.title")), input);
    if (!this.picture) {
      const area = make("div", { class: "s-drop s-small", role: "button", tabindex: 0, onclick: () => input.click(),
        onkeydown: (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); input.click(); } } },
        make("span", {}, t("source.drop")));
      area.addEventListener("drop", (event) => event.stopPropagation());
      dropZone(area, (file) => this.take(file).catch(complain));
      box.append(area);
      return box;
    }
    const shown = make("output", {}, decimal(Number(state.strength), 2));
    const strength = make("input", { type: "range", min: "0.05", max: "1", step: "0.05", value: String(state.strength), id: "strength",
      oninput: (e) => { state.strength = Number(e.target.value); shown.textContent = decimal(state.strength, 2); keep(); } });
    box.append(make("div", { class: "s-start" }, make("img", { src: this.picture.address, alt: t("source.picture") }),
      make("div", { class: "s-side" }, field(make("span", { class: "s-between" }, t("source.strength"), shown), strength,
        this.mask ? t("source.inside") : t("source.whole")),
      make("div", { class: "s-row" }, button(this.mask ? t("source.change_mask") : t("source.paint_mask"), () => this.paintMask(), { id: "paint-mask", "data-key": "paint-mask" }),
        this.mask && button(t("source.no_mask"), () => this.drop()), button(t("source.take_out"), () => this.remove())))));
    return box;
  }

  paintMask() {
    const { shown } = this.picture;
    const layer = new Layer(shown.naturalWidth, shown.naturalHeight);
    if (this.mask) layer.restore(this.mask.canvas);
    new MaskDialog(shown, layer, () => {
      this.mask = layer.painted ? layer : null;
      this.sent = null;
      this.changed();
    }).open();
  }
}

export class MaskDialog {
  constructor(picture, layer, done, title = t("source.paint_mask"), hint = t("source.canvas")) {
    Object.assign(this, { picture, layer, done, title, hint, erase: false, soft: 0.2, undo: [] });
    this.size = Math.max(4, Math.min(layer.canvas.width, layer.canvas.height) / 6);
  }

  open() {
    const { width, height } = this.layer.canvas;
    this.canvas = make("canvas", { class: "s-canvas", width, height, tabindex: 0, role: "application", "aria-label": this.hint,
      "aria-describedby": "mask-keys" });
    this.cursor = new Cursor(this.canvas, this);
    this.bar = make("div", { class: "s-tools" });
    this.dialog = make("dialog", { class: "s-editor", id: "mask-dialog", "aria-labelledby": "mask-title" },
      make("div", { class: "s-tool-head" }, make("h3", { id: "mask-title" }, this.title),
        button(t("editor.done"), () => this.dialog.close(), { class: "s-button s-primary", id: "mask-done" })),
      make("p", { class: "s-hint" }, this.hint), this.bar, make("p", { class: "s-hint s-keys-hint", id: "mask-keys" }, t("editor.keys")),
      make("div", { class: "s-stage" }, this.canvas));
    this.dialog.addEventListener("close", () => { this.done(); this.dialog.remove(); });
    this.dialog.addEventListener("keydown", (e) => { if ((e.ctrlKey || e.metaKey) && e.key === "z") { e.preventDefault(); this.back(); } });
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.tools();
    this.draw();
    this.canvas.dataset.ready = "true";
  }

  tools() {
    const pick = (erase) => { this.erase = erase; this.tools(); };
    const most = Math.min(this.layer.canvas.width, this.layer.canvas.height) / 2;
    const slider = (label, value, set) => make("label", {}, label, make("input", { type: "range", min: "0", max: "1", step: "0.01", value: String(value),
      oninput: (e) => set(Number(e.target.value)) }));
    const back = holdFocus(this.bar, this.canvas);
    this.bar.replaceChildren(
      toolRow(t("editor.tools"),
        button(t("editor.brush"), () => pick(false), { "aria-pressed": String(!this.erase), "data-key": "brush" }),
        button(t("editor.erase"), () => pick(true), { "aria-pressed": String(this.erase), "data-key": "erase" })),
      toolRow(t("editor.strokes"),
        slider(t("editor.size"), this.size / most, (v) => { this.size = Math.max(2, v * most); }), slider(t("editor.soft"), this.soft, (v) => { this.soft = v; }),
        button(t("undo"), () => this.back(), { disabled: !this.undo.length, title: this.undo.length ? null : t("editor.no_undo"), "data-key": "undo" }),
        button(t("editor.clear"), () => { this.remember(); this.layer.clear(); this.tools(); this.draw(); }, { "data-key": "clear" })));
    back();
  }

  begin(here) {
    this.remember();
    this.tools();
    this.last = here;
    this.move(here);
  }

  move(here) {
    if (!this.last) return;
    this.layer.stroke(this.last, here, this.size, this.soft, this.erase);
    this.last = here;
    this.draw();
  }

  end() {
    this.last = null;
  }

  remember() {
    this.undo.push(this.layer.copy());
    if (this.undo.length > UNDO) this.undo.shift();
  }

  back() {
    if (!this.undo.length) return;
    this.layer.restore(this.undo.pop());
    this.tools();
    this.draw();
  }

  draw() {
    const pen = this.canvas.getContext("2d");
    pen.globalAlpha = 1;
    pen.drawImage(this.picture, 0, 0, this.canvas.width, this.canvas.height);
    pen.globalAlpha = 0.55;
    pen.drawImage(this.layer.tinted(TINT), 0, 0);
    pen.globalAlpha = 1;
    this.cursor.paint(this.size);
  }
}
