// People in the pictures: what a thing is, and the consent that a person is learned under.
import { ask, at, json } from "./api.js";
import { button, complain, make, toast } from "./dom.js";

const KINDS = [["object", "a thing"], ["animal", "an animal"], ["place", "a place"], ["style", "a style"], ["person", "a person"]];
const FIELDS = [["who", "Who is it?", "Ada Lovelace"], ["scope", "What did they agree to?", "birthday cards, within the family"],
                ["by", "Who says so?", "Ada herself"]];

export const consents = {
  of: (draft) => ask(at(draft, "/consent")),
  give: (draft, told) => ask("/studio/consents", json("POST", { draft, ...told })),
  revoke: (id) => ask(`/studio/consents/${id}/revoke`, { method: "POST" }),
};

export const kindSelect = (kind, label, change) => make("label", {}, "It is",
  make("select", { "aria-label": label, onchange: (e) => change(e.target.value) },
    ...KINDS.map(([value, text]) => make("option", { value, selected: value === kind }, text))));

// Fills `place` with what is known and what is missing; `changed` is called when pictures went away.
export async function consentPanel(place, draft, changed) {
  if (draft.things.every((t) => t.kind !== "person") || !draft.shots.length) {
    place.replaceChildren();
    return;
  }
  const told = await consents.of(draft.id).catch((error) => { complain(error); return null; });
  if (told) place.replaceChildren(told.statement ? given(told.statement, changed) : form(told, place, draft, changed));
}

function given(statement, changed) {
  const revoke = async () => {
    const sure = `Revoke the consent of ${statement.who}? Everything made under it is erased for good: adapters, trainings, `
      + "pictures painted with them, and the pictures it is about.";
    if (!window.confirm(sure)) return;
    try {
      const closed = await consents.revoke(statement.id);
      toast(`Revoked. ${closed.removed.length} things were erased.`);
      changed();
    } catch (error) {
      complain(error);
    }
  };
  return make("div", { class: "s-note", id: "consent" },
    make("p", {}, `${statement.who} agreed on ${statement.date}: ${statement.scope}. (Stated by ${statement.by}.)`),
    button("Revoke", revoke, { id: "revoke" }));
}

function form(told, place, draft, changed) {
  const inputs = Object.fromEntries(FIELDS.map(([name, , hint]) =>
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
  const missing = told.missing === told.pictures ? "these pictures" : `${told.missing} of ${told.pictures} pictures`;
  return make("form", { class: "s-consent", id: "consent", onsubmit: give },
    make("p", {}, `A person is learned only with their consent, and ${missing} have none yet.`),
    ...FIELDS.map(([name, label]) => make("label", {}, label, inputs[name])),
    make("label", {}, "When did they agree?", inputs.date),
    make("button", { type: "submit", class: "s-button", id: "give-consent" }, "Record the consent"));
}
