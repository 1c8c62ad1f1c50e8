// One picture, large, with how it was made and what can be done with it.
import { imageAt, images } from "./api.js";
import { button, make } from "./dom.js";

const NAMES = { prompt: "Prompt", negative_prompt: "Keep away from", seed: "Seed", steps: "Steps", guidance: "Guidance",
                sampler: "Sampler", schedule: "Schedule", upscale: "Second pass", upscale_strength: "its strength" };

export async function view(file, acts) {
  let liked = acts.likes(file);
  const facts = make("dl", { class: "s-made" });
  const dialog = make("dialog", { class: "s-viewer", "aria-label": "A picture" });
  const shut = (act) => () => { dialog.close(); act(); };
  const like = button("", async () => draw(await acts.like(file, !liked)), { id: "favourite" });
  const draw = (now) => {
    liked = now;
    like.textContent = liked ? "★ Favourite" : "☆ Favourite";
    like.setAttribute("aria-pressed", String(liked));
  };
  draw(liked);
  dialog.append(
    make("div", { class: "s-look" }, make("img", { src: imageAt(file), alt: "The picture" })),
    make("div", { class: "s-about-it" }, facts, make("div", { class: "s-acts" },
      button("Use these settings", shut(() => acts.use(file)), { class: "s-button s-primary", id: "use-settings" }),
      button("Paint from it", shut(() => acts.from(file))), button("Paint inside it", shut(() => acts.inside(file))), like,
      make("a", { class: "s-button", href: imageAt(file), download: file }, "Download"),
      button("Delete", shut(() => acts.remove(file)), { id: "delete-picture" }),
      button("Close", () => dialog.close()))));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  try {
    const made = await images.made(file);
    const rows = Object.entries(made.request).filter(([k, v]) => NAMES[k] && v !== "" && v !== null).map(([k, v]) => [NAMES[k], v]);
    if (made.request.width) rows.push(["Size", `${made.request.width} × ${made.request.height}`]);
    if (made.base) rows.push(["Base", made.base]);
    for (const [name, weight, dials] of made.adapters) {
      rows.push(["Adapter", `${name}, ${weight}${Object.entries(dials).map(([k, v]) => `, ${k} ${v}`).join("")}`]);
    }
    facts.replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]),
      ...made.notices.flatMap((notice) => [make("dt", {}, "Note"), make("dd", {}, notice)]));
  } catch (error) {
    facts.replaceChildren(make("dd", {}, error.message));
  }
}
