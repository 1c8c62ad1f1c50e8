// Every picture made here, newest first; searched, liked, brought back.
import { imageAt, images } from "./api.js";
import { button, complain, holdFocus, make } from "./dom.js";
import { t } from "./i18n.js";
import { later } from "./saving.js";
import { view } from "./viewer.js";

export class History {
  constructor(acts) {
    Object.assign(this, { acts, items: [], more: false, words: "", favourites: false });
    const search = later(() => this.refresh(), 250);
    this.grid = make("div", { class: "s-past", id: "history" });
    this.rest = make("div", {});
    this.element = make("section", { class: "s-history" });
    this.search = search;
    this.frame();
  }

  frame() {
    this.liked = button(`★ ${t("history.favourites")}`, () => { this.favourites = !this.favourites; this.refresh(); }, { "aria-pressed": "false", id: "only-favourites" });
    this.element.setAttribute("aria-label", t("history.title"));
    this.element.replaceChildren(
      make("div", { class: "s-drafts" }, make("h3", {}, t("history.title")),
        make("input", { type: "search", id: "past", value: this.words, placeholder: t("history.example"), "aria-label": t("history.search"),
          oninput: (e) => { this.words = e.target.value; this.search(); } }), this.liked),
      this.grid, this.rest);
  }

  // In another language.
  redraw() {
    this.frame();
    this.draw();
  }

  query(after = "") {
    return { q: this.words, favourites: this.favourites, after };
  }

  async refresh() {
    try {
      const asked = this.words;
      const found = await images.find(this.query());
      if (asked !== this.words) return; // more was typed meanwhile
      this.items = found.images;
      this.more = found.more;
      this.draw();
    } catch (error) {
      complain(error);
    }
  }

  async next() {
    try {
      const found = await images.find(this.query(this.items[this.items.length - 1].file));
      this.items = [...this.items, ...found.images];
      this.more = found.more;
      this.draw();
    } catch (error) {
      complain(error);
    }
  }

  likes(file) {
    return this.items.some((i) => i.file === file && i.favourite);
  }

  changed(told) {
    this.items = this.items.map((i) => (i.file === told.file ? told : i));
    this.draw();
  }

  forget(file) {
    this.items = this.items.filter((i) => i.file !== file);
    this.draw();
  }

  draw() {
    this.liked.setAttribute("aria-pressed", String(this.favourites));
    const back = holdFocus(this.element);
    this.grid.dataset.count = String(this.items.length);
    this.grid.replaceChildren(...this.items.map((item) => {
      const about = item.made?.request.prompt || t("history.silent");
      return make("button", { type: "button", class: "s-open", title: about, "data-file": item.file, "data-key": item.file, "aria-label": item.favourite ? t("history.favourite_of", { about }) : about,
        onclick: () => view(item.file, this.acts) },
        make("img", { src: imageAt(item.file, true), alt: "", loading: "lazy" }), item.favourite && make("span", { class: "s-star" }, "★"),
        item.sheet && make("span", { class: "s-tag" }, t("history.sheet")));
    }));
    if (!this.items.length) this.grid.replaceChildren(make("p", { class: "s-empty" }, this.words || this.favourites
      ? t("history.nothing") : t("history.empty")));
    this.rest.replaceChildren(...(this.more ? [button(t("history.more"), () => this.next(), { id: "more", "data-key": "more" })] : []));
    back();
  }
}
