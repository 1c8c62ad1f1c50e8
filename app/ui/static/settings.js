// The Advanced part of a training: every setting of a method as a field, made from what the studio tells about it.
import { make } from "./dom.js";
import { said, t } from "./i18n.js";
import { methods } from "./studio.js";

// Choices are the configuration's own words, but for these two.
const shown = (option) => ({ yes: t("settings.yes"), no: t("settings.no") }[option] || option);

// `fields` are a method's; `changed` is told whenever what was typed becomes something else.
export class Settings {
  constructor(changed) {
    this.changed = changed;
    this.inputs = new Map();
    this.root = make("div", { class: "s-settings" });
  }

  show(method) {
    if (this.method === method.method) return;
    this.method = method.method;
    this.inputs.clear();
    const own = method.fields.filter((f) => f.own || f.name === "steps" || f.name === "seed");
    const others = method.fields.filter((f) => !own.includes(f));
    this.root.replaceChildren(...own.map((f) => this.field(f)),
      make("h5", { class: "s-part" }, t("settings.every")), ...others.map((f) => this.field(f)));
  }

  field(field) {
    const id = `field-${field.name}`;
    const common = { "data-setting": field.name, "aria-describedby": `${id}-tip`, oninput: () => this.changed() };
    const options = { choice: field.choices, "yes-no": ["yes", "no"] }[field.kind];
    const input = options
      ? make("select", common, make("option", { value: "" }, ""), ...options.map((o) => make("option", { value: o }, shown(o))))
      : make("input", { type: "text", inputmode: field.kind === "whole" ? "numeric" : field.kind === "number" ? "decimal" : "text",
        maxlength: field.kind === "text" ? 400 : 24, autocomplete: "off", ...common });
    this.inputs.set(field.name, { field, input });
    return make("div", { class: "s-setting", id },
      make("label", {}, said(field.label), input), make("p", { class: "s-tip", id: `${id}-tip`, role: "tooltip" }, said(field.tip || field.label)));
  }

  // What the preset gives stands where nothing was typed.
  async presets(chosen) {
    const method = this.method;
    const values = await methods.values(method, chosen);
    if (method !== this.method) return;
    for (const [name, { field, input }] of this.inputs) {
      const value = values[name];
      const given = value === null || value === "" ? t("settings.none") : shown({ true: "yes", false: "no" }[value] || String(value));
      if (input.tagName === "SELECT") input.options[0].textContent = t("settings.preset", { value: given });
      else input.placeholder = field.kind === "text" ? "" : given;
    }
  }

  // What stands in the fields, as it is typed, and back again.
  typed() {
    return Object.fromEntries([...this.inputs].map(([name, { input }]) => [name, input.value]).filter(([, value]) => value));
  }

  retype(typed) {
    for (const [name, { input }] of this.inputs) input.value = typed[name] || "";
  }

  // What a person typed, by setting; the studio says what cannot be.
  values() {
    const found = {};
    for (const [name, { field, input }] of this.inputs) {
      const typed = input.value.trim();
      if (!typed) continue;
      const number = Number(typed.replace(",", "."));
      if (field.kind === "yes-no") found[name] = typed === "yes";
      else found[name] = (field.kind === "whole" || field.kind === "number") && !Number.isNaN(number) ? number : typed;
    }
    return found;
  }
}
