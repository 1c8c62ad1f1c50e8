// What is being painted, and what came of it: progress, a live preview, pictures in rows and columns.
import { imageAt, images, previewAt } from "./api.js";
import { button, complain, make } from "./dom.js";
import { said, t } from "./i18n.js";
import { view } from "./viewer.js";

const ACTIVE = ["waiting", "painting"];
const PACE = 400; // milliseconds between two looks

const wait = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

export class Stage {
  constructor(acts, ended) {
    Object.assign(this, { acts, ended, told: null, shown: "", gone: new Set() });
    this.status = make("div", { class: "s-status" });
    this.sheet = make("div", { class: "s-painted" });
    this.live = make("div", { class: "s-live" });
    this.element = make("section", { id: "output", "aria-label": t("stage.title") }, this.status, this.live, this.sheet);
    this.empty();
  }

  empty() {
    this.sheet.replaceChildren(make("p", { class: "s-empty" }, t("stage.empty")));
  }

  // In another language.
  redraw() {
    this.element.setAttribute("aria-label", t("stage.title"));
    [this.shown, this.bar] = ["", null];
    if (this.told) this.draw();
    else this.empty();
  }

  // Shows a painting until it has ended, or another is shown.
  async follow(told) {
    this.told = told;
    this.shown = "";
    this.gone.clear();
    this.draw();
    while (this.told.id === told.id && ACTIVE.includes(this.told.state)) {
      await wait(PACE);
      if (this.told.id !== told.id) return;
      try {
        this.told = await images.painting(told.id);
      } catch (error) {
        complain(error);
        return;
      }
      this.draw();
    }
    if (this.told.id === told.id) this.ended();
  }

  async cancel() {
    if (this.told && ACTIVE.includes(this.told.state)) await images.cancel(this.told.id).catch(complain);
  }

  forget(file) {
    this.gone.add(file);
    this.shown = "";
    this.draw();
  }

  draw() {
    if (!this.told) return;
    const { state } = this.told;
    this.element.dataset.state = state;
    this.drawStatus();
    const key = JSON.stringify([this.told.images, state]);
    if (key === this.shown) return;
    this.shown = key;
    this.drawSheet();
  }

  drawStatus() {
    const { state, message, done, total, step: [at, steps], preview, unseen, id, sheet } = this.told;
    const share = 100 * (done + (steps ? at / steps : 0)) / Math.max(total, 1);
    if (ACTIVE.includes(state)) {
      const place = { n: Math.min(done + 1, total), total, at, steps };
      const words = state === "waiting" ? t("stage.waiting") : steps ? t("stage.step", place) : t("stage.painting", place);
      if (!this.bar) {
        this.words = make("span", {});
        this.bar = make("i", {});
        this.track = make("div", { class: "s-bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": t("stage.progress") }, this.bar);
        this.status.replaceChildren(make("div", { class: "s-between" }, this.words,
          button(t("queue.cancel"), () => this.cancel(), { id: "cancel" })), this.track);
      }
      this.words.textContent = words;
      this.bar.style.width = `${share}%`;
      this.track.setAttribute("aria-valuenow", String(Math.round(share)));
      if (unseen) this.live.textContent = t("stage.unseen");
      else this.drawPreview(preview ? previewAt(id, preview) : "");
      return;
    }
    this.bar = null;
    this.drawPreview("");
    const ended = { failed: said(message), cancelled: t("stage.cancelled", { done, total }) }[state];
    this.status.replaceChildren(...[
      ended && make("div", { class: `s-note${state === "failed" ? " bad" : ""}`, role: "status" }, ended),
      sheet && !this.gone.has(sheet) && make("a", { href: imageAt(sheet), download: sheet, class: "s-link", id: "sheet" }, t("stage.all")),
    ].filter(Boolean));
  }

  drawPreview(source) {
    if (!source) return this.live.replaceChildren();
    const image = this.live.querySelector("img") || make("img", { alt: t("stage.live") });
    image.src = source;
    if (!image.isConnected) this.live.replaceChildren(image);
    return null;
  }

  drawSheet() {
    const { rows, columns, images: cells, state } = this.told;
    const here = (file) => file && !this.gone.has(file);
    const count = cells.flat().filter(here).length;
    const table = columns.length > 1 && (count > 0 || ACTIVE.includes(state));
    const shown = table
      ? [...(rows.length > 0 ? [make("span", {})] : []), ...columns.map((c) => make("b", { class: "s-column" }, said(c))),
         ...rows.flatMap((row, r) => [make("b", { class: "s-rowname" }, row), ...columns.map((c, n) => this.cell(cells[r][n], `${said(c) || t("stage.picture")}, ${row}`))])]
      : rows.flatMap((row, r) => (ACTIVE.includes(state) || here(cells[r][0]) ? [this.cell(cells[r][0], row)] : []));
    this.sheet.replaceChildren(make("div", { id: "pictures", "data-count": String(count), class: table ? "s-cells" : "s-grid",
      style: table ? `grid-template-columns: minmax(44px, auto) repeat(${columns.length}, minmax(96px, 1fr))` : "" }, ...shown));
  }

  cell(file, about) {
    if (!file || this.gone.has(file)) return make("div", { class: "s-blank" });
    return make("figure", {}, make("button", { type: "button", class: "s-open", "aria-label": t("stage.look", { about }), onclick: () => view(file, this.acts) },
      make("img", { src: imageAt(file), alt: about, onerror: () => this.forget(file) })), this.told.columns.length > 1 ? null : make("figcaption", {}, about));
  }
}
