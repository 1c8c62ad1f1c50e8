// A dialog with a title, which is gone from the page when it is closed.
import { button, make } from "./dom.js";
import { t } from "./i18n.js";

export function dialog(title, attributes = {}, ...children) {
  const body = make("div", { class: "s-dialog-body" }, ...children);
  const box = make("dialog", { class: "s-editor s-dialog", "aria-label": title, ...attributes },
    make("div", { class: "s-dialog-head" }, make("h3", {}, title),
      button("×", () => box.close(), { class: "s-button", "aria-label": t("close") })),
    body);
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.body.append(box);
  box.showModal();
  return { box, body };
}
