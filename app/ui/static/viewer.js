// One picture, large, with how it was made and what can be done with it.
import { imageAt, images } from "./api.js";
import { button, make } from "./dom.js";
import { said, t } from "./i18n.js";

const NAMES = { prompt: () => t("create.prompt"), negative_prompt: () => t("create.negative"), seed: () => t("create.seed"),
  steps: () => t("create.steps"), guidance: () => t("create.guidance"), sampler: () => t("create.sampler"), schedule: () => t("create.schedule"),
  upscale: () => t("create.upscale"), upscale_strength: () => t("create.upscale_strength") };

export async function view(file, acts) {
  let liked = acts.likes(file);
  const facts = make("dl", { class: "s-made" });
  const dialog = make("dialog", { class: "s-viewer", "aria-label": t("viewer.title") });
  const shut = (act) => () => { dialog.close(); act(); };
  const like = button("", async () => draw(await acts.like(file, !liked)), { id: "favourite" });
  const draw = (now) => {
    liked = now;
    like.textContent = `${liked ? "★" : "☆"} ${t("viewer.favourite")}`;
    like.setAttribute("aria-pressed", String(liked));
  };
  draw(liked);
  dialog.append(
    make("div", { class: "s-look" }, make("img", { src: imageAt(file), alt: t("viewer.title") })),
    make("div", { class: "s-about-it" }, facts, make("div", { class: "s-acts" },
      button(t("viewer.use"), shut(() => acts.use(file)), { class: "s-button s-primary", id: "use-settings" }),
      button(t("viewer.from"), shut(() => acts.from(file))), button(t("viewer.inside"), shut(() => acts.inside(file))), like,
      make("a", { class: "s-button", href: imageAt(file), download: file }, t("viewer.download")),
      button(t("viewer.delete"), shut(() => acts.remove(file)), { id: "delete-picture" }),
      button(t("close"), () => dialog.close()))));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  try {
    const made = await images.made(file);
    const rows = Object.entries(made.request).filter(([k, v]) => NAMES[k] && v !== "" && v !== null)
      .filter(([k]) => k !== "upscale_strength" || made.request.upscale).map(([k, v]) => [NAMES[k](), v]);
    if (made.request.width) rows.push([t("viewer.size"), `${made.request.width} × ${made.request.height}`]);
    if (made.safety !== "none") rows.push([t("viewer.safety"), made.safety === "passed" ? t("viewer.passed") : t("viewer.withheld")]);
    if (made.base) rows.push([t("viewer.base"), made.base]);
    for (const [name, weight, dials] of made.adapters) {
      rows.push([t("viewer.adapter"), `${name}, ${weight}${Object.entries(dials).map(([k, v]) => `, ${k} ${v}`).join("")}`]);
    }
    facts.replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]),
      ...made.notices.flatMap((notice) => [make("dt", {}, t("viewer.note")), make("dd", {}, said(notice))]));
  } catch (error) {
    facts.replaceChildren(make("dd", {}, said(error.message)));
  }
}
