// What is to be no person and seems to show a face is learned only when somebody has said that it is none.
import { dialog } from "./dialog.js";
import { button, make } from "./dom.js";
import { said, t } from "./i18n.js";

const SHOWS_A_FACE = 409;

// `send(fields)` asks the studio; once more, with what was confirmed, where it asks back. Going back is its refusal.
export async function unlessFace(send) {
  try {
    return await send({});
  } catch (error) {
    if (error.status !== SHOWS_A_FACE || !(await confirmed(said(error.message)))) throw error;
    return send({ no_face: true });
  }
}

function confirmed(text) {
  return new Promise((done) => {
    let none = false;
    const { box } = dialog(t("face.title"), { id: "face-dialog" }, make("p", {}, text), make("div", { class: "s-acts" },
      button(t("face.none"), () => { none = true; box.close(); }, { "data-act": "no-face" }),
      button(t("face.back"), () => box.close(), { class: "s-button s-primary", "data-act": "back" })));
    box.addEventListener("close", () => done(none));
  });
}
