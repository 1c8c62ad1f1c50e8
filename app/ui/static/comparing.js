// Which methods to hold side by side on a draft's pictures.
import { button, complain, make } from "./dom.js";
import { said, t } from "./i18n.js";
import { lab } from "./studio.js";

export function compareDialog(methods, draft, wanted, queued) {
  const masked = draft.shots.every((s) => draft.things.every((t) => s.masks.includes(t.id)));
  const boxes = methods.map((m) => make("input", { type: "checkbox", value: m.method, checked: masked || !m.needs_masks }));
  const seeds = make("input", { type: "number", min: "1", max: "16", value: "4" });
  const prompts = make("textarea", { rows: 3, maxlength: 4000, id: "compare-prompts", placeholder: t("comparing.prompts_none") });
  const dialog = make("dialog", { class: "s-ask s-room", id: "compare-dialog", "aria-labelledby": "compare-title" });
  const send = async () => {
    const options = { seeds: Number(seeds.value) };
    const lines = prompts.value.split("\n").map((line) => line.trim()).filter(Boolean);
    if (lines.length) options.prompts = lines;
    try {
      const job = await lab.compare({ ...wanted, methods: boxes.filter((b) => b.checked).map((b) => b.value), options });
      dialog.close();
      queued(job);
    } catch (error) {
      dialog.close();
      complain(error);
    }
  };
  dialog.append(...[make("h3", { id: "compare-title" }, t("comparing.title")),
    make("p", { class: "s-hint" }, t("comparing.about", { label: draft.label })),
    wanted.steps && make("p", { class: "s-hint" }, t("comparing.steps", { n: wanted.steps })),
    make("fieldset", { class: "s-methods" }, make("legend", {}, t("comparing.methods")), ...methods.map((m, n) => make("label", { class: "s-pick" }, boxes[n],
      make("span", {}, make("b", {}, said(m.title)), make("small", {}, m.paper), m.needs_masks && make("small", {}, t("train.needs_masks")))))),
    make("label", { class: "s-labelled" }, t("comparing.seeds"), seeds),
    make("label", { class: "s-labelled" }, t("comparing.prompts", { subject: "{}" }), prompts),
    make("div", { class: "s-acts" }, button(t("comparing.start"), send, { class: "s-button s-primary", id: "compare-start" }),
      button(t("queue.cancel"), () => dialog.close()))].filter(Boolean));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
