// One picture, large: crop it, and paint one mask for each thing. Every stroke is saved soon after it ends.
import { drafts, maskAt, pictureAt } from "./api.js";
import { Cursor } from "./cursor.js";
import { button, holdFocus, loadImage, make, toolRow } from "./dom.js";
import { Finding, seenView } from "./finding.js";
import { t } from "./i18n.js";
import { Layer, colourOf, floodFill } from "./layers.js";
import { later } from "./saving.js";

const TOOLS = () => [["brush", t("editor.brush")], ["erase", t("editor.erase")], ["fill", t("editor.fill")],
  ["point", t("editor.point")], ["beside", t("editor.beside")], ["box", t("editor.box")], ["crop", t("editor.crop")]];
const UNDO = 12;

const METHODS = () => (document.querySelector('meta[name="semblance-methods"]')?.content || "lora").split(",");

// `changed(draft)` after each that was saved, `closed()` when it is left.
export async function edit(draft, shot, changed, closed, tool = "brush") {
  const picture = await loadImage(pictureAt(draft.id, shot.id));
  const editor = new Editor(draft, shot, picture, changed, closed, tool);
  await editor.open();
  return editor;
}

class Editor {
  constructor(draft, shot, picture, changed, closed, tool) {
    Object.assign(this, { draft, shot, picture, changed, closed, tool, thing: 0, size: 0, soft: 0.3, opacity: 0.55 });
    this.size = Math.round(Math.min(picture.width, picture.height) / 9);
    this.undo = [];
    this.crop = shot.crop || [0, 0, 1, 1];
    this.layers = draft.things.map(() => new Layer(picture.width, picture.height));
    this.saving = this.layers.map((_, n) => later(() => this.save(n), 500));
    this.cropping = later((crop) => this.keepCrop(crop), 0);
    this.finding = new Finding(this);
  }

  async open() {
    await Promise.all(this.draft.things.map(async (thing, n) => {
      if (!this.shot.masks.includes(thing.id)) return;
      this.layers[n].add(await loadImage(`${maskAt(this.draft.id, this.shot.id, thing.id)}?${Date.now()}`));
      this.layers[n].dirty = false;
    }));
    this.canvas = make("canvas", { class: "s-canvas", role: "application", "aria-label": t("editor.canvas"),
      "aria-describedby": "editor-hint", tabindex: 0 });
    this.canvas.width = this.picture.width;
    this.canvas.height = this.picture.height;
    this.cursor = new Cursor(this.canvas, this);
    this.bar = make("div", { class: "s-tools" });
    this.hint = make("p", { class: "s-hint", id: "editor-hint", "aria-live": "polite" });
    this.dialog = make("dialog", { class: "s-editor", id: "editor", "aria-label": t("editor.edit", { name: this.shot.name }) },
      this.bar, this.hint, make("div", { class: "s-stage" }, this.canvas));
    this.listen();
    this.tools();
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.draw();
    this.canvas.dataset.ready = "true";
  }

  listen() {
    this.dialog.addEventListener("close", () => this.close());
    this.dialog.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "z") { event.preventDefault(); this.back(); }
      if (event.key === "[") this.resize(this.size / 1.3);
      if (event.key === "]") this.resize(this.size * 1.3);
    });
  }

  tools() {
    const pick = (tool) => {
      if (!["point", "beside"].includes(tool)) this.finding.forget();
      this.drop();
      this.tool = tool;
      this.tools();
      this.draw();
    };
    const slider = (label, value, set, id) => make("label", {}, label,
      make("input", { type: "range", min: "0", max: "1", step: "0.01", value: String(value), id, "data-key": id,
                      oninput: (e) => { set(Number(e.target.value)); this.draw(); } }));
    const whole = Math.min(this.picture.width, this.picture.height) / 2;
    const key = (name, attributes = {}) => ({ "data-key": name, ...attributes });
    const tool = (name, label) => button(label, () => pick(name),
      key(name, { "aria-pressed": String(this.tool === name), "data-tool": name }));
    const things = () => this.draft.things.map((thing, n) => button(thing.name || thing.noun || t("concepts.nth", { n: n + 1 }),
      () => { this.thing = n; this.finding.forget(); this.tools(); },
      key(`thing ${n}`, { class: "s-button s-thing", style: `--tint:${colourOf(n)}`, "aria-pressed": String(this.thing === n), "data-thing": n })));
    const strokes = () => [
      slider(t("editor.size"), this.size / whole, (v) => this.resize(v * whole), "brush-size"),
      slider(t("editor.soft"), this.soft, (v) => { this.soft = v; }, "brush-soft"),
      slider(t("editor.opacity"), this.opacity, (v) => { this.opacity = v; }, "mask-opacity"),
      button(t("undo"), () => this.back(), key("undo", { disabled: !this.undo.length, title: this.undo.length ? null : t("editor.no_undo"), id: "undo" })),
      button(t("editor.clear"), () => this.clear(), key("clear"))];
    const crop = this.tool === "crop";
    const back = holdFocus(this.bar, this.canvas);
    this.bar.replaceChildren(...[
      make("div", { class: "s-tool-head" }, make("h3", {}, this.shot.name),
        button(t("editor.seen"), () => this.look(), key("seen", { id: "seen", "aria-pressed": String(Boolean(this.seen)) })),
        button(t("editor.done"), () => this.dialog.close(), key("done", { class: "s-button s-primary", id: "editor-done" }))),
      !crop && toolRow(t("editor.things"), ...things()),
      toolRow(t("editor.tools"), ...TOOLS().map(([name, label]) => tool(name, label)), !crop && this.finder(),
        crop && button(t("editor.whole"), () => { this.crop = [0, 0, 1, 1]; this.cropping(this.crop); this.draw(); }, key("whole"))),
      !crop && toolRow(t("editor.strokes"), ...strokes()),
    ].filter(Boolean));
    back();
    this.tell();
  }

  // What the tool is for and how it is used by keys; while a mask is looked for, that.
  tell() {
    const own = this.looking ? t("finding.looking") : this.finding.hint(this.tool);
    const keys = this.looking ? "" : this.byCorners ? t("editor.keys_corners") : t("editor.keys");
    if (own + keys === this.told) return; // said anew it would be read out anew
    this.told = own + keys;
    this.hint.replaceChildren(own, " ", make("span", { class: "s-keys-hint" }, keys));
  }

  get byCorners() {
    return this.tool === "crop" || this.tool === "box";
  }

  // By its noun, where it has one.
  finder() {
    const { noun } = this.draft.things[this.thing];
    return noun.trim() && button(t("editor.find", { noun }), () => this.finding.word(noun), { id: "find-word", "data-key": "find" });
  }

  look() {
    this.seen?.remove();
    const open = this.seen;
    this.seen = open ? null : seenView(this.draft, this.shot, METHODS(),
      () => Promise.all(this.saving.map((save) => save.flush())));
    if (this.seen) {
      this.dialog.append(this.seen);
      this.seen.scrollIntoView({ behavior: "smooth", block: "nearest" });
    }
    this.tools();
  }

  busy(on) {
    this.dialog.classList.toggle("s-waiting", on);
    this.canvas.dataset.finding = String(on);
    this.dialog.setAttribute("aria-busy", String(on));
    this.looking = on;
    this.tell();
  }

  resize(size) {
    this.size = Math.max(2, Math.min(size, Math.min(this.picture.width, this.picture.height) / 2));
  }

  begin(here) {
    if (this.looking) return;
    this.last = this.start = here;
    if (["point", "beside"].includes(this.tool)) {
      this.finding.click(this.start, this.tool === "point");
      return;
    }
    this.down = true;
    if (this.byCorners) return;
    this.remember();
    if (this.tool === "fill") {
      floodFill(this.picture, this.layers[this.thing], this.start);
      this.yield();
      this.end();
    } else this.move(here);
  }

  move(here) {
    if (!this.down) return;
    if (this.tool === "crop") {
      const [w, h] = [this.canvas.width, this.canvas.height];
      const clip = (v) => Math.max(0, Math.min(1, v));
      const xs = [clip(this.start[0] / w), clip(here[0] / w)].sort((a, b) => a - b);
      const ys = [clip(this.start[1] / h), clip(here[1] / h)].sort((a, b) => a - b);
      this.crop = [xs[0], ys[0], xs[1], ys[1]];
    } else if (this.tool === "box") {
      this.last = here;
    } else {
      const erase = this.tool === "erase";
      this.layers[this.thing].stroke(this.last, here, this.size, this.soft, erase);
      if (!erase) this.others((layer) => layer.stroke(this.last, here, this.size, this.soft, true));
      this.last = here;
    }
    this.draw();
  }

  end() {
    if (!this.down) return;
    this.down = false;
    if (this.tool === "crop") {
      const [left, top, right, bottom] = this.crop;
      if (right - left < 0.05 || bottom - top < 0.05) this.crop = this.shot.crop || [0, 0, 1, 1];
      this.cropping(this.crop);
    } else if (this.tool === "box") {
      this.finding.box(this.start, this.last);
    } else this.keep();
    this.tools();
    this.draw();
  }

  // A crop or box of which only one corner is set is let go.
  drop() {
    this.cursor.drop();
    if (!this.down) return;
    this.down = false;
    this.crop = this.shot.crop || [0, 0, 1, 1];
  }

  // Soon on the server: every layer that has changed.
  keep() {
    this.layers.forEach((layer, n) => layer.dirty && this.saving[n](n));
    this.tools();
    this.draw();
  }

  // A pixel belongs to one thing: what one gets, the others lose.
  yield() {
    this.others((layer) => layer.without(this.layers[this.thing]));
  }

  others(act) {
    this.layers.forEach((layer, n) => n !== this.thing && layer.painted && act(layer));
  }

  remember() {
    this.undo.push(this.layers.map((layer) => layer.copy()));
    if (this.undo.length > UNDO) this.undo.shift();
  }

  back() {
    const before = this.undo.pop();
    if (!before) return;
    this.finding.forget();
    this.layers.forEach((layer, n) => { layer.restore(before[n]); this.saving[n](n); });
    this.tools();
    this.draw();
  }

  clear() {
    this.remember();
    this.layers[this.thing].clear();
    this.saving[this.thing](this.thing);
    this.tools();
    this.draw();
  }

  draw() {
    const pen = this.canvas.getContext("2d");
    pen.globalAlpha = 1;
    pen.drawImage(this.picture, 0, 0);
    pen.globalAlpha = this.opacity;
    if (this.tool !== "crop") this.layers.forEach((layer, n) => pen.drawImage(layer.tinted(colourOf(n)), 0, 0));
    pen.globalAlpha = 1;
    const [left, top, right, bottom] = this.crop;
    const [w, h] = [this.canvas.width, this.canvas.height];
    pen.fillStyle = "rgba(0,0,0,.55)";
    pen.beginPath();
    pen.rect(0, 0, w, h);
    pen.rect(left * w, top * h, (right - left) * w, (bottom - top) * h);
    pen.fill("evenodd");
    if (this.tool === "box" && this.down) {
      pen.strokeStyle = colourOf(this.thing);
      pen.lineWidth = Math.max(2, w / 200);
      pen.strokeRect(this.start[0], this.start[1], this.last[0] - this.start[0], this.last[1] - this.start[1]);
    }
    this.cursor.paint(["brush", "erase"].includes(this.tool) ? this.size : 0);
  }

  async save(n) {
    const layer = this.layers[n];
    layer.dirty = false;
    this.canvas.dataset.saved = "false";
    try {
      const blob = layer.painted ? await layer.mask() : null;
      const thing = this.draft.things[n].id;
      this.changed(blob ? await drafts.paint(this.draft.id, this.shot.id, thing, blob)
                        : await drafts.clear(this.draft.id, this.shot.id, thing));
      this.canvas.dataset.saved = "true";
    } catch (error) {
      layer.dirty = true;
      throw error; // it is said and tried again there
    }
  }

  async keepCrop(crop) {
    this.changed(await drafts.change(this.draft.id, this.shot.id, { crop }));
    this.shot = { ...this.shot, crop };
  }

  // What cannot be kept now is tried again without the dialog: the layers stay for as long.
  async close() {
    this.layers.forEach((layer, n) => layer.dirty && this.saving[n](n));
    await Promise.allSettled([this.cropping, ...this.saving].map((save) => save.flush()));
    this.dialog.remove();
    this.closed();
  }
}
