// People in the pictures: what a thing is, and the consent that a person is learned under.
import { ask, at, json } from "./api.js";
import { button, complain, make, toast } from "./dom.js";
import { day, t } from "./i18n.js";

const KINDS = () => [["object", t("people.object")], ["animal", t("people.animal")], ["place", t("people.place")], ["style", t("people.style")],
                     ["person", t("people.person")]];
const FIELDS = () => [["who", t("people.who"), t("people.who_example")], ["scope", t("people.scope"), t("people.scope_example")],
                      ["by", t("people.by"), t("people.by_example")]];

export const consents = {
  of: (draft) => ask(at(draft, "/consent")),
  give: (draft, told) => ask("/studio/consents", json("POST", { draft, ...told })),
  revoke: (id) => ask(`/studio/consents/${id}/revoke`, { method: "POST" }),
};

export const kindSelect = (kind, label, change) => make("label", {}, t("people.kind"),
  make("select", { "aria-label": label, onchange: (e) => change(e.target.value) },
    ...KINDS().map(([value, text]) => make("option", { value, selected: value === kind }, text))));

// Fills `place` with what is known and what is missing; `changed` is called when pictures went away.
export async function consentPanel(place, draft, changed) {
  if (draft.things.every((t) => t.kind !== "person") || !draft.shots.length) {
    place.replaceChildren();
    return;
  }
  const told = await consents.of(draft.id).catch((error) => { complain(error); return null; });
  if (!told) return;
  const typed = new Map([...place.querySelectorAll("input")].map((input) => [input.id, input.value]));
  const held = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.replaceChildren(told.statement ? given(told.statement, changed) : form(told, place, draft, changed));
  for (const input of place.querySelectorAll("input")) { // a form that is drawn again keeps what was typed
    input.value = typed.get(input.id) ?? "";
    if (input.id === held) input.focus();
  }
}

function given(statement, changed) {
  const revoke = async () => {
    if (!window.confirm(t("people.sure", { who: statement.who }))) return;
    try {
      const closed = await consents.revoke(statement.id);
      toast(t("people.revoked", { n: closed.removed.length }));
      changed();
    } catch (error) {
      complain(error);
    }
  };
  return make("div", { class: "s-note", id: "consent" },
    make("p", {}, t("people.agreed", { who: statement.who, date: day(statement.date), scope: statement.scope, by: statement.by })),
    button(t("people.revoke"), revoke, { id: "revoke" }));
}

function form(told, place, draft, changed) {
  const inputs = Object.fromEntries(FIELDS().map(([name, , hint]) =>
    [name, make("input", { type: "text", id: `consent-${name}`, maxlength: 300, placeholder: hint, required: true })]));
  inputs.date = make("input", { type: "date", id: "consent-date", max: new Date().toISOString().slice(0, 10), required: true });
  const give = async (event) => {
    event.preventDefault();
    try {
      await consents.give(draft.id, Object.fromEntries(Object.entries(inputs).map(([k, i]) => [k, i.value])));
      await consentPanel(place, draft, changed);
    } catch (error) {
      complain(error);
    }
  };
  const missing = told.missing === told.pictures ? t("people.all_missing")
    : t("people.some_missing", { missing: told.missing, of: told.pictures });
  return make("form", { class: "s-consent", id: "consent", onsubmit: give },
    make("p", {}, missing),
    ...FIELDS().map(([name, label]) => make("label", {}, label, inputs[name])),
    make("label", {}, t("people.when"), inputs.date),
    make("button", { type: "submit", class: "s-button", id: "give-consent" }, t("people.record")));
}
