// Which base model: one of those that are here, or another by its folder, file or hub id.
import { make } from "./dom.js";
import { said, t } from "./i18n.js";
import { bases } from "./system_api.js";

export class BaseChoice {
  // `changed(spec)` when a person chose another.
  constructor(spec, changed, attributes) {
    Object.assign(this, { spec, changed, here: [] });
    this.select = make("select", { ...attributes, onchange: () => this.pick() });
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
    this.select.replaceChildren(...here.map((b) => make("option", { value: b.spec, disabled: Boolean(b.problem) },
      b.family_title && b.form !== "starter" ? `${b.name} (${said(b.family_title)})` : b.name)), make("option", { value: "" }, t("bases.another")));
    const listed = here.some((b) => b.spec === this.spec);
    this.select.value = listed ? this.spec : "";
    this.typed.value = listed ? "" : this.spec;
    this.typed.hidden = listed;
  }

  pick() {
    this.typed.hidden = Boolean(this.select.value);
    if (this.select.value) this.take(this.select.value);
    else this.typed.focus();
  }

  take(spec) {
    this.spec = spec;
    this.changed(spec);
  }
}
