// The queue: what runs, what waits and for what, and whose turn it is. Nothing here is greyed out by a training.
import { button, complain, make, toast } from "./dom.js";
import { DOING, queue, runs } from "./studio.js";

export class QueueList {
  // `show(id)` opens a job beside the list.
  constructor(show) {
    this.show = show;
    this.list = make("ul", { id: "waiting", class: "s-queue" });
    this.pause = make("span", {});
    this.gone = make("ul", { class: "s-queue" });
    this.trash = make("details", { class: "s-more", id: "put-away" }, make("summary", {}, "Put away"), this.gone);
    this.root = make("section", { id: "queue", "aria-labelledby": "queue-title" },
      make("div", { class: "s-head" }, make("h3", { id: "queue-title" }, "Queue"), this.pause), this.list, this.trash);
    this.later = null; // the job whose start is being put off
  }

  // What `queue.seen()` answered; drawn only when it says something new, and never under a person's hands.
  take(seen, again = false) {
    const told = JSON.stringify(seen);
    if (!again && (told === this.told || this.list.contains(document.activeElement) && document.activeElement.tagName === "INPUT")) return;
    this.told = told;
    this.seen = seen;
    const held = document.activeElement?.dataset?.key;
    this.pause.replaceChildren(seen.paused
      ? button("Go on", () => this.act(queue.pause(false)), { id: "queue-go-on", "data-key": "pause" })
      : button("Pause", () => this.act(queue.pause(true)), { id: "queue-pause", "data-key": "pause",
        title: "What runs goes on; nothing new is started." }));
    const items = seen.waiting.map((job, n) => this.waiting(job, n, seen.waiting.length));
    if (seen.running) items.unshift(this.running(seen.running));
    this.list.replaceChildren(...items);
    if (!items.length) this.list.replaceChildren(make("li", { class: "s-hint" }, seen.paused
      ? "The queue is paused and empty." : "Nothing runs and nothing waits. What you start is done one after the other here; pictures are painted beside it."));
    this.trash.hidden = !seen.deleted.length;
    this.gone.replaceChildren(...seen.deleted.map((job) => make("li", { "data-run": job.id },
      make("span", { class: "s-name" }, make("b", {}, job.name), make("small", {}, DOING[job.kind])),
      make("div", { class: "s-acts" }, button("Bring back", () => this.act(runs.restore(job.id).then(queue.seen)),
        { "aria-label": `Bring back ${job.name}`, "data-key": `back ${job.id}` })))));
    if (held) this.root.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
  }

  async act(answer) {
    try {
      this.take(await answer, true);
    } catch (error) {
      complain(error);
    }
  }

  title(job) {
    return make("button", { type: "button", class: "s-open s-name", "data-key": `show ${job.id}`, onclick: () => this.show(job.id) },
      make("b", {}, job.name), make("small", {}, DOING[job.kind]));
  }

  running(job) {
    return make("li", { "data-run": job.id, "data-state": "running" }, this.title(job),
      make("p", { class: "s-hint" }, "Has the device to itself now."),
      make("div", { class: "s-acts" }, button("Stop", () => runs.stop(job.id).catch(complain),
        { "aria-label": `Stop ${job.name}`, "data-key": `stop ${job.id}` })));
  }

  waiting(job, n, count) {
    const act = (label, where, can) => can && button(label, () => this.act(queue.move(job.id, where)),
      { "aria-label": `${label}: ${job.name}`, "data-key": `${where} ${job.id}` });
    return make("li", { "data-run": job.id, "data-state": "queued" }, this.title(job),
      make("p", { class: "s-hint" }, job.waits),
      make("div", { class: "s-acts" }, act("First", "first", n > 0), act("Up", "up", n > 0), act("Down", "down", n < count - 1),
        job.not_before
          ? button("Start when it is its turn", () => this.act(queue.later(job.id, null)), { "data-key": `later ${job.id}` })
          : button("Later…", () => { this.later = this.later === job.id ? null : job.id; this.take(this.seen, true); },
            { "aria-label": `Start later: ${job.name}`, "aria-expanded": String(this.later === job.id), "data-key": `later ${job.id}` }),
        button("Take out", () => this.takeOut(job), { "aria-label": `Take out of the queue: ${job.name}`, "data-key": `out ${job.id}` })),
      this.later === job.id && this.when(job));
  }

  when(job) {
    const soon = new Date(Date.now() + 3600e3 - new Date().getTimezoneOffset() * 60e3).toISOString().slice(0, 16);
    const input = make("input", { type: "datetime-local", value: soon });
    return make("form", { class: "s-row", onsubmit: (event) => {
      event.preventDefault();
      this.later = null;
      this.act(queue.later(job.id, new Date(input.value).getTime() / 1000));
    } }, make("label", {}, "Not before", input), make("button", { type: "submit", class: "s-button" }, "Set"));
  }

  async takeOut(job) {
    try {
      await runs.stop(job.id);
      this.take(await queue.seen(), true);
      toast(`'${job.name}' is taken out of the queue.`, { label: "Undo", run: () => this.act(runs.resume(job.id).then(queue.seen)) });
    } catch (error) {
      complain(error);
    }
  }
}
