// The bases of the System room: what is here, and three ways to more: a path, a drop, the hub.
import { button, complain, make, toast } from "./dom.js";
import { bytes, said, t } from "./i18n.js";
import { bases } from "./system_api.js";

const HUB = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;
const POLL = 1000;

export const progress = (done, total) => make("div", { class: "s-progress" },
  make("progress", { max: Math.max(total, 1), value: done }), make("small", {}, t("bases.of", { done: bytes(done), total: bytes(total) })));

export class Bases {
  constructor() {
    this.list = make("div", { class: "s-list", id: "bases" });
    this.coming = make("div", { class: "s-list", id: "downloads" });
    this.asking = make("div", { id: "hub-answer" });
    this.element = make("section", { class: "s-block" }, make("h3", {}, t("bases.title")), this.list, this.coming,
      this.ways(), this.asking);
  }

  ways() {
    this.field = make("input", { type: "text", id: "base-spec", placeholder: t("bases.spec"), "aria-label": t("bases.spec"),
      maxlength: 1000, onkeydown: (e) => e.key === "Enter" && this.add() });
    const input = make("input", { type: "file", accept: ".safetensors", hidden: true, id: "base-file",
      onchange: (e) => { const [file] = e.target.files; e.target.value = ""; this.upload(file); } });
    const drop = make("div", { class: "s-drop s-slim", id: "base-drop", role: "button", tabindex: 0, onclick: () => input.click(),
      onkeydown: (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); input.click(); } },
      ondragover: (e) => { e.preventDefault(); drop.classList.add("over"); }, ondragleave: () => drop.classList.remove("over"),
      ondrop: (e) => { e.preventDefault(); drop.classList.remove("over"); this.upload(e.dataTransfer.files[0]); } },
      make("b", {}, t("bases.drop")), make("span", {}, t("bases.drop_hint")), input);
    return make("div", { class: "s-ways" },
      make("div", { class: "s-bar-row" }, this.field, button(t("bases.add"), () => this.add(), { class: "s-button s-primary", id: "base-add" })),
      make("p", { class: "s-hint" }, t("bases.spec_hint")), drop);
  }

  async refresh() {
    try {
      const [here, coming] = await Promise.all([bases.all(), bases.downloads()]);
      this.list.replaceChildren(...here.map((base) => this.row(base)));
      this.show(coming);
    } catch (error) {
      complain(error);
    }
  }

  row(base) {
    const forms = { starter: () => t("bases.starter"), folder: () => t("bases.folder"), file: () => t("bases.file"), hub: () => t("bases.hub") };
    const licence = base.licence ? t("bases.licence", { licence: base.licence }) : t("bases.family_licence", { licence: base.family_licence });
    return make("div", { class: "s-line", "data-base": base.name },
      make("div", { class: "s-base" }, make("b", {}, base.name),
        make("small", {}, [said(base.family_title), forms[base.form](), bytes(base.bytes), licence].join(" · ")),
        base.form === "folder" || base.form === "file" ? make("small", { class: "s-path" }, base.spec) : null,
        base.problem ? make("div", { class: "s-note bad" }, said(base.problem)) : null),
      base.form === "starter" ? null : button(t("bases.remove"), () => this.remove(base), { "data-act": "remove-base" }));
  }

  async remove(base) {
    try {
      await bases.remove(base.id);
      toast(base.own ? t("bases.removed_own", { name: base.name }) : t("bases.removed", { name: base.name }),
        base.own ? null : { label: t("undo"), run: async () => { await bases.add(base.spec).catch(complain); this.refresh(); } });
      await this.refresh();
    } catch (error) {
      complain(error);
    }
  }

  async add() {
    const spec = this.field.value.trim();
    if (!spec) return;
    try {
      await this.listOrLook(spec);
    } catch (error) {
      this.asking.replaceChildren(make("div", { class: "s-note bad" }, said(error.message)));
    }
  }

  // What looks like a hub id may be a folder beside the studio, or be here already; else the hub is asked.
  async listOrLook(spec) {
    this.asking.replaceChildren(make("p", { class: "s-hint" }, t("bases.looking")));
    try {
      const base = await bases.add(spec);
      this.asking.replaceChildren();
      this.field.value = "";
      toast(t("bases.added", { name: base.name }));
      await this.refresh();
    } catch (error) {
      if (!HUB.test(spec)) throw error;
      this.offer(await bases.look(spec));
    }
  }

  offer(model) {
    const start = async () => {
      try {
        await bases.download(model.id);
        this.field.value = "";
        this.asking.replaceChildren();
        await this.refresh();
      } catch (error) {
        complain(error);
      }
    };
    this.asking.replaceChildren(make("div", { class: "s-offer" },
      make("b", {}, model.id),
      make("p", {}, model.licence ? t("bases.under", { licence: model.licence }) : t("bases.no_licence"),
        model.licence_link ? ` (${model.licence_link})` : ""),
      model.gated ? make("p", {}, t("bases.gated")) : null,
      make("p", {}, t("bases.fetches", { size: bytes(model.bytes) })),
      button(t("bases.download"), start, { class: "s-button s-primary", id: "hub-download" })));
  }

  async upload(file) {
    if (!file) return;
    const bar = make("div", { class: "s-line" });
    const say = (done) => bar.replaceChildren(make("b", {}, file.name), progress(done, file.size));
    say(0);
    this.asking.replaceChildren(bar);
    try {
      const base = await bases.upload(file, say);
      this.asking.replaceChildren();
      toast(t("bases.added", { name: base.name }));
      await this.refresh();
    } catch (error) {
      this.asking.replaceChildren(make("div", { class: "s-note bad" }, said(error.message)));
    }
  }

  show(coming) {
    const ends = { failed: (d) => said(d.message), cancelled: () => t("bases.cancelled") };
    this.coming.replaceChildren(...coming.filter((d) => !d.helper && d.state !== "finished").map((d) => make("div", { class: "s-line", "data-state": d.state },
      make("b", {}, d.id), d.state === "running" ? progress(d.done, d.total) : make("small", {}, ends[d.state](d)),
      d.state === "running" ? button(t("bases.cancel"), async () => { await bases.cancel(d.id).catch(complain); this.refresh(); }) : null)));
    clearTimeout(this.timer);
    if (coming.some((d) => d.state === "running") && this.element.isConnected) this.timer = setTimeout(() => this.refresh(), POLL);
  }
}
