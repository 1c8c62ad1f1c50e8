// The Library room: adapters as cards, found by words and tags; import by drop. The server's files are the truth.
import { progress } from "./bases.js";
import { button, complain, holdFocus, make, toast, whenThere } from "./dom.js";
import { onLanguage, said, t } from "./i18n.js";
import { library } from "./library_api.js";
import { card } from "./library_card.js";
import { whenShown } from "./rooms.js";

const PAGE = 60;

class Room {
  constructor(root) {
    Object.assign(this, { root, search: "", tag: "", order: "newest", limit: PAGE, asked: 0 });
    onLanguage(() => { this.frame(); if (this.asked) this.refresh(); });
    whenShown(root, () => this.refresh());
    this.takeDrops();
  }

  frame() {
    this.told = "";
    const field = make("input", { type: "search", id: "search", value: this.search, placeholder: t("library.search"),
      "aria-label": t("library.search"), oninput: (e) => { this.search = e.target.value; this.limit = PAGE; this.soon(); } });
    const orders = [["newest", t("library.newest")], ["name", t("library.by_name")], ["size", t("library.by_size")]];
    const order = make("select", { id: "order", "aria-label": t("library.order"),
      onchange: (e) => { this.order = e.target.value; this.refresh(); } },
      ...orders.map(([value, label]) => make("option", { value, selected: value === this.order }, label)));
    this.count = make("span", { class: "s-hint", id: "count" });
    this.tags = make("div", { class: "s-chips", id: "tags" });
    this.grid = make("div", { class: "s-cards", id: "cards" });
    this.rest = make("div", { class: "s-more-row" });
    this.coming ||= make("div", { class: "s-list", id: "importing" });
    this.trash = make("div", { class: "s-trash" });
    this.root.replaceChildren(
      make("div", { class: "s-bar-row" }, field, order, this.count), this.tags, this.importer(), this.coming, this.grid, this.rest,
      make("details", { class: "s-fold", id: "trash", ontoggle: (e) => e.target.open && this.showTrash() },
        make("summary", {}, t("library.trash")), this.trash));
  }

  importer() {
    this.input = make("input", { type: "file", accept: ".safetensors,.pt,.bin", multiple: true, hidden: true,
      onchange: async (e) => { const files = [...e.target.files]; e.target.value = ""; await this.bring(files); } });
    const open = () => this.input.click();
    return make("div", { class: "s-drop s-slim", id: "import", role: "button", tabindex: 0, onclick: open,
      onkeydown: (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); open(); } } },
      make("b", {}, t("library.drop")), make("span", {}, t("library.drop_hint")), this.input);
  }

  takeDrops() {
    const over = (on) => (event) => { event.preventDefault(); this.root.classList.toggle("s-over", on); };
    this.root.addEventListener("dragover", over(true));
    this.root.addEventListener("dragleave", over(false));
    this.root.addEventListener("drop", (event) => { over(false)(event); this.bring([...event.dataTransfer.files]); });
  }

  async bring(files) {
    this.root.dataset.busy = "true";
    for (const file of files) {
      // Once all of it is sent, the studio reads it.
      const say = (done) => this.coming.replaceChildren(make("div", { class: "s-line" }, done < file.size
        ? make("b", {}, file.name) : t("library.reading", { file: file.name }), progress(done, file.size)));
      try {
        say(0);
        const entry = await library.bring(file, say);
        toast(t("library.brought", { name: entry.name, method: entry.kind, family: said(entry.family_title) }));
      } catch (error) {
        complain(error);
      }
    }
    this.coming.replaceChildren();
    delete this.root.dataset.busy;
    await this.refresh();
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), 150);
  }

  async refresh() {
    const asked = ++this.asked;
    try {
      const found = await library.find({ search: this.search, tag: this.tag, order: this.order, limit: this.limit });
      if (asked === this.asked) this.show(found); // else a later question is on its way
    } catch (error) {
      complain(error);
    }
  }

  show(found) {
    if (this.grid.contains(document.activeElement) && document.activeElement.tagName === "INPUT") return; // being typed in
    const told = JSON.stringify([this.tag, found]);
    if (told === this.told) return; // what is open stays open
    this.told = told;
    const back = holdFocus(this.root);
    const acts = { changed: () => { this.told = ""; this.refresh(); }, choose: (tag) => this.choose(tag), remove: (name) => this.remove(name) };
    this.count.textContent = found.total === found.all ? t("library.count", { n: found.all })
      : t("library.count_of", { n: found.total, all: found.all });
    this.grid.replaceChildren(...found.entries.map((entry) => card(entry, acts)));
    this.grid.dataset.count = found.total;
    if (!found.total) this.grid.replaceChildren(make("p", { class: "s-empty" },
      found.all ? t("library.nothing_found") : t("library.empty")));
    this.tags.replaceChildren(...Object.entries(found.tags).map(([tag, n]) => button(`${tag} ${n}`, () => this.choose(tag),
      { class: "s-button s-chip", "aria-pressed": String(this.tag === tag), "data-key": `tag ${tag}` })));
    const left = found.total - found.entries.length;
    this.rest.replaceChildren(...(left > 0 && this.limit < 500 ? [button(t("library.more", { n: left }),
      () => { this.limit = Math.min(this.limit + 4 * PAGE, 500); this.refresh(); }, { id: "more", "data-key": "more" })] : []),
      ...(left > 0 && this.limit >= 500 ? [make("p", { class: "s-hint" }, t("library.narrow"))] : []));
    this.root.dataset.ready = "true";
    back();
  }

  choose(tag) {
    this.tag = this.tag === tag ? "" : tag;
    this.limit = PAGE;
    this.refresh();
  }

  async remove(name) {
    try {
      const { id } = await library.remove(name);
      await this.refresh();
      toast(t("library.deleted", { name }), { label: t("undo"), run: () => this.restore(id) });
    } catch (error) {
      complain(error);
    }
  }

  async restore(id) {
    try {
      const entry = await library.restore(id);
      toast(t("library.restored", { name: entry.name }));
      await this.refresh();
      if (this.root.querySelector("#trash").open) await this.showTrash();
    } catch (error) {
      complain(error);
    }
  }

  async showTrash() {
    const gone = await library.trash().catch((error) => { complain(error); return []; });
    const back = holdFocus(this.trash, this.root.querySelector("#trash > summary"));
    this.trash.replaceChildren(...gone.map((d) => make("div", { class: "s-line" }, make("b", {}, d.name),
      make("small", {}, d.when), button(t("library.restore"), () => this.restore(d.id), { "data-key": d.id }))));
    if (!gone.length) this.trash.replaceChildren(make("p", { class: "s-hint" }, t("library.trash_empty")));
    back();
  }
}

whenThere("#library-room", (root) => new Room(root));
