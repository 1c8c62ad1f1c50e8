// Who is logged in, beside the brand: what they have, and the way out. Only where there are logins.
import { ask } from "./api.js";
import { button, complain, make, whenThere } from "./dom.js";
import { bytes, onLanguage, t } from "./i18n.js";

async function leave() {
  localStorage.removeItem("semblance.create"); // what was typed there is this person's
  await fetch("/logout", { method: "POST", redirect: "manual" });
  location.assign("/login");
}

whenThere("#brand", async (brand) => {
  try {
    const account = await ask("/studio/account");
    const box = make("div", { id: "account", role: "group", style: "margin-left:auto;display:flex;align-items:center;gap:12px" });
    brand.append(box);
    onLanguage(() => {
      const { disk, queue } = account;
      box.setAttribute("aria-label", t("account.title"));
      box.replaceChildren(
        make("span", { title: t("account.has", { used: bytes(disk.used), disk: bytes(disk.quota), n: queue.used, queue: queue.quota }) },
          account.role === "admin" ? t("account.admin", { name: account.name }) : account.name),
        button(t("account.leave"), () => leave().catch(complain), { id: "log-out" }));
    });
  } catch (error) {
    complain(error);
  }
});
