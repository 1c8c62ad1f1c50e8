// Every picture made here, newest first; searched, liked, brought back.
import { imageAt, images, later } from "./api.js";
import { button, complain, make } from "./dom.js";
import { view } from "./viewer.js";

export class History {
  constructor(acts) {
    Object.assign(this, { acts, items: [], more: false, words: "", favourites: false });
    const search = later(() => this.refresh(), 250);
    this.grid = make("div", { class: "s-past", id: "history" });
    this.rest = make("div", {});
    this.liked = button("★ Favourites", () => { this.favourites = !this.favourites; this.refresh(); }, { "aria-pressed": "false", id: "only-favourites" });
    this.element = make("section", { class: "s-history", "aria-label": "History" },
      make("div", { class: "s-drafts" }, make("h3", {}, "History"),
        make("input", { type: "search", id: "search", placeholder: "words of the prompt, an adapter, seed 7", "aria-label": "Search the history",
          oninput: (e) => { this.words = e.target.value; search(); } }), this.liked),
      this.grid, this.rest);
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
    this.grid.dataset.count = String(this.items.length);
    this.grid.replaceChildren(...this.items.map((item) => {
      const about = item.made?.request.prompt || "a picture that does not say how it was made";
      return make("button", { type: "button", class: "s-open", title: about, "data-file": item.file, "aria-label": `${item.favourite ? "Favourite: " : ""}${about}`,
        onclick: () => view(item.file, this.acts) },
        make("img", { src: imageAt(item.file, true), alt: "", loading: "lazy" }), item.favourite && make("span", { class: "s-star" }, "★"),
        item.sheet && make("span", { class: "s-tag" }, "sheet"));
    }));
    if (!this.items.length) this.grid.replaceChildren(make("p", { class: "s-empty" }, this.words || this.favourites
      ? "Nothing is found. Search for fewer words, or open a picture and press Favourite."
      : "Nothing yet. Every picture that you paint stays here with its settings."));
    this.rest.replaceChildren(...(this.more ? [button("More", () => this.next(), { id: "more" })] : []));
  }
}
