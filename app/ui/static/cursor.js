// What a person paints with over a canvas: a mouse, a finger, or a cursor that the arrow keys move.
const STEP = 0.01; // of the shorter side; with Shift ten times that
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Cursor {
  // `tool` has `begin` and `move`, which are told where, in the canvas's pixels, `end`, and `draw`. Where it goes `byCorners`,
  // the first press of a key begins and the second ends.
  constructor(canvas, tool) {
    Object.assign(this, { canvas, tool, shown: false, down: false, place: [canvas.width / 2, canvas.height / 2] });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => this.show(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => this.show(false));
    canvas.addEventListener("pointerdown", (event) => this.touch(event));
    canvas.addEventListener("pointermove", (event) => canvas.hasPointerCapture(event.pointerId) && tool.move(this.at(event)));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => tool.end());
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * this.canvas.width / box.width, (event.clientY - box.top) * this.canvas.height / box.height];
  }

  touch(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.place = this.at(event);
    this.down = this.shown = false;
    this.tool.begin(this.place);
  }

  show(shown) {
    this.shown = shown;
    this.tool.draw();
  }

  // What was begun and not ended is let go.
  drop() {
    this.down = false;
  }

  key(event) {
    const arrow = ARROWS[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !(arrow || event.key === " " || event.key === "Enter")) return;
    event.preventDefault();
    if (arrow) this.go(arrow, event.shiftKey ? 10 * STEP : STEP);
    else if (!event.repeat) this.press();
    this.show(true);
  }

  go([x, y], step) {
    const { width, height } = this.canvas;
    const by = step * Math.min(width, height);
    this.place = [Math.max(0, Math.min(width, this.place[0] + x * by)), Math.max(0, Math.min(height, this.place[1] + y * by))];
    if (this.down) this.tool.move(this.place);
  }

  press() {
    if (!this.down) this.tool.begin(this.place);
    this.down = this.tool.byCorners && !this.down;
    if (!this.down) this.tool.end();
  }

  // A cross in a ring of `size` pixels, light on dark, so that it is seen on every picture.
  paint(size) {
    if (!this.shown) return;
    const pen = this.canvas.getContext("2d");
    const pixel = this.canvas.width / Math.max(this.canvas.clientWidth, 1); // of the screen, in the picture's
    const [x, y] = this.place;
    const arm = 9 * pixel;
    for (const [colour, thick] of [["#1c1917", 4], ["#fff", 1.75]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = thick * pixel;
      pen.beginPath();
      pen.moveTo(x - arm, y);
      pen.lineTo(x + arm, y);
      pen.moveTo(x, y - arm);
      pen.lineTo(x, y + arm);
      if (size) {
        pen.moveTo(x + size / 2, y);
        pen.arc(x, y, size / 2, 0, 2 * Math.PI);
      }
      pen.stroke();
    }
  }
}
