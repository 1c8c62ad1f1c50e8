// Asks the studio for one thing after the other, so that each is seen when it comes.
export class OneByOne {
  // `draw()` shows `at`, {n, total} while it goes on; it ends early by `stop()`, or where `room` opens another draft.
  constructor(room, draw) {
    Object.assign(this, { room, draw, at: null, stopped: false });
  }

  stop() {
    this.stopped = true;
  }

  async each(list, ask) {
    const { id } = this.room.draft;
    this.stopped = false;
    try {
      for (const [n, one] of list.entries()) {
        if (this.stopped || this.room.draft.id !== id) break;
        this.at = { n: n + 1, total: list.length };
        this.draw();
        await ask(one);
      }
    } finally {
      this.at = null;
      this.draw();
    }
  }
}
