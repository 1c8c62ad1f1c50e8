// A training once more: the same pictures and settings, but for what is changed here.
import { button, complain, field, make } from "./dom.js";
import { said, t } from "./i18n.js";
import { methods, runs } from "./studio.js";

const CHANGED = ["steps", "seed", "learning_rate"];

export async function cloneDialog(job, queued) {
  const [kept, known] = await Promise.all([runs.settings(job.id), methods.all()]);
  const { fields } = known.methods.find((m) => m.method === kept.settings.method);
  const name = make("input", { type: "text", id: "clone-name", value: kept.name, maxlength: 64, autocomplete: "off" });
  const inputs = CHANGED.map((key) => [key, make("input", { type: "text", inputmode: "decimal", id: `clone-${key}`,
    value: String(kept.settings[key]), maxlength: 24, autocomplete: "off" })]);
  const dialog = make("dialog", { class: "s-ask s-room", id: "clone-dialog", "aria-labelledby": "clone-title" });
  const changed = () => Object.fromEntries(inputs.map(([key, input]) => [key, input.value.trim()])
    .filter(([key, typed]) => typed && typed !== String(kept.settings[key]))
    .map(([key, typed]) => [key, Number.isNaN(Number(typed.replace(",", "."))) ? typed : Number(typed.replace(",", "."))]));
  const send = async () => {
    try {
      const cloned = await runs.clone(job.id, name.value.trim(), changed());
      dialog.close();
      await queued(cloned);
    } catch (error) {
      complain(error);
    }
  };
  dialog.append(make("h3", { id: "clone-title" }, t("cloning.title", { name: job.name })), make("p", { class: "s-hint" }, t("cloning.about")),
    field(t("cloning.name"), name), ...inputs.map(([key, input]) => field(said(fields.find((f) => f.name === key).label), input)),
    make("div", { class: "s-acts" }, button(t("train.start"), send, { class: "s-button s-primary", id: "clone-start" }),
      button(t("queue.cancel"), () => dialog.close())));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
