// Which base model: one of those that are here, or another by its folder, file or hub id.
import { make } from "./dom.js";
import { said, t } from "./i18n.js";
import { bases } from "./system_api.js";

export class BaseChoice {
  // `changed(spec)` when a person chose another.
  constructor(spec, changed, attributes) {
    Object.assign(this, { spec, changed, here: [] });
    this.select = make("select", { ...attributes, onchange: () => this.pick(), onfocus: () => this.explain(true), onblur: () => this.explain(false) });
    this.reason = make("div", { id: `${attributes.id}-reason`, "aria-live": "polite" });
    this.typed = make("input", { type: "text", id: `${attributes.id}-typed`, maxlength: 1000, placeholder: t("bases.spec"), "aria-label": t("bases.spec"),
      onchange: () => this.take(this.typed.value.trim() || this.spec) });
    this.draw();
    this.refresh();
  }

  get value() {
    return this.spec;
  }

  set value(spec) {
    this.spec = spec;
    this.draw();
  }

  async refresh() {
    this.here = await bases.all().catch(() => this.here);
    if (document.activeElement !== this.typed) this.draw();
  }

  draw() {
    const here = this.here.length ? this.here : [{ spec: "starter", name: "starter" }];
    this.select.replaceChildren(...here.map((b) => make("option", { value: b.spec, disabled: Boolean(b.problem), title: b.problem ? said(b.problem) : null },
      b.family_title && b.form !== "starter" ? `${b.name} (${said(b.family_title)})` : b.name)), make("option", { value: "" }, t("bases.another")));
    const listed = here.some((b) => b.spec === this.spec);
    this.select.value = listed ? this.spec : "";
    this.typed.value = listed ? "" : this.spec;
    this.typed.hidden = listed;
    this.explain(document.activeElement === this.select);
  }

  // Why a base cannot be chosen: of the one that was, and of all that are grey while a person looks through them.
  explain(looking) {
    const grey = this.here.filter((b) => b.problem);
    this.select.title = grey.map((b) => `${b.name}: ${said(b.problem)}`).join("\n");
    this.reason.replaceChildren(...grey.filter((b) => looking || b.spec === this.spec).map((b) =>
      make("div", { class: b.spec === this.spec ? "s-note bad" : "s-hint" }, `${b.name}: ${said(b.problem)}`)));
  }

  pick() {
    this.typed.hidden = Boolean(this.select.value);
    if (this.select.value) this.take(this.select.value);
    else this.typed.focus();
  }

  take(spec) {
    this.spec = spec;
    this.explain(document.activeElement === this.select);
    this.changed(spec);
  }
}
