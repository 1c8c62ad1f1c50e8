// A mask while it is painted: white, as opaque as it counts. The server gets it as grey.
const COLOURS = ["#c2410c", "#2563eb", "#16a34a", "#9333ea", "#ca8a04", "#0d9488"];
const TOLERANCE = 28; // of 255 in each colour: what a fill takes for the same surface

export const colourOf = (n) => COLOURS[n % COLOURS.length];

function blank(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

export class Layer {
  constructor(width, height) {
    this.canvas = blank(width, height);
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    this.painted = this.dirty = false;
  }

  // Grey becomes opacity, over what is there.
  add(grey) {
    const sheet = blank(this.canvas.width, this.canvas.height);
    const pen = sheet.getContext("2d");
    pen.drawImage(grey, 0, 0, sheet.width, sheet.height);
    const pixels = pen.getImageData(0, 0, sheet.width, sheet.height);
    for (let n = 0; n < pixels.data.length; n += 4) {
      pixels.data[n + 3] = pixels.data[n];
      pixels.data[n] = pixels.data[n + 1] = pixels.data[n + 2] = 255;
    }
    pen.putImageData(pixels, 0, 0);
    this.pen.drawImage(sheet, 0, 0);
    this.painted = this.dirty = true;
  }

  stroke(from, to, size, soft, erase) {
    const pen = this.pen;
    pen.save();
    pen.globalCompositeOperation = erase ? "destination-out" : "source-over";
    const radius = size / 2;
    const steps = Math.max(1, Math.ceil(Math.hypot(to[0] - from[0], to[1] - from[1]) / Math.max(radius / 3, 1)));
    for (let n = 0; n <= steps; n += 1) {
      const x = from[0] + ((to[0] - from[0]) * n) / steps;
      const y = from[1] + ((to[1] - from[1]) * n) / steps;
      const disc = pen.createRadialGradient(x, y, radius * (1 - soft) * 0.999, x, y, radius);
      disc.addColorStop(0, "rgba(255,255,255,1)");
      disc.addColorStop(1, soft ? "rgba(255,255,255,0)" : "rgba(255,255,255,1)");
      pen.fillStyle = disc;
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.fill();
    }
    pen.restore();
    this.painted = this.dirty = true;
  }

  without(other) {
    this.pen.save();
    this.pen.globalCompositeOperation = "destination-out";
    this.pen.drawImage(other.canvas, 0, 0);
    this.pen.restore();
    this.dirty = true;
  }

  clear() {
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.painted = false;
    this.dirty = true;
  }

  copy() {
    if (!this.painted) return null;
    const kept = blank(this.canvas.width, this.canvas.height);
    kept.getContext("2d").drawImage(this.canvas, 0, 0);
    return kept;
  }

  // Its canvas in another layer's size.
  scaledTo({ canvas: { width, height } }) {
    const kept = blank(width, height);
    kept.getContext("2d").drawImage(this.canvas, 0, 0, width, height);
    return kept;
  }

  restore(kept) {
    this.clear();
    if (!kept) return;
    this.pen.drawImage(kept, 0, 0);
    this.painted = true;
  }

  tinted(colour) {
    this.tint ||= blank(this.canvas.width, this.canvas.height);
    const pen = this.tint.getContext("2d");
    pen.globalCompositeOperation = "copy";
    pen.drawImage(this.canvas, 0, 0);
    pen.globalCompositeOperation = "source-in";
    pen.fillStyle = colour;
    pen.fillRect(0, 0, this.tint.width, this.tint.height);
    return this.tint;
  }

  mask() {
    const grey = blank(this.canvas.width, this.canvas.height);
    const pen = grey.getContext("2d");
    pen.fillRect(0, 0, grey.width, grey.height);
    pen.drawImage(this.canvas, 0, 0);
    return new Promise((resolve) => grey.toBlob(resolve, "image/png"));
  }
}

// Takes all that is joined to a point and of its colour, as a magic wand does.
export function floodFill(picture, layer, [x, y]) {
  const [w, h] = [picture.width, picture.height];
  const sheet = blank(w, h).getContext("2d");
  sheet.drawImage(picture, 0, 0);
  const { data } = sheet.getImageData(0, 0, w, h);
  const out = layer.pen.getImageData(0, 0, w, h);
  const start = Math.floor(y) * w + Math.floor(x);
  const wanted = data.slice(4 * start, 4 * start + 3);
  const alike = (n) => Math.abs(data[4 * n] - wanted[0]) <= TOLERANCE
    && Math.abs(data[4 * n + 1] - wanted[1]) <= TOLERANCE && Math.abs(data[4 * n + 2] - wanted[2]) <= TOLERANCE;
  const seen = new Uint8Array(w * h);
  const stack = [start];
  seen[start] = 1;
  while (stack.length) {
    const n = stack.pop();
    out.data.set([255, 255, 255, 255], 4 * n);
    const column = n % w;
    for (const next of [column > 0 && n - 1, column < w - 1 && n + 1, n >= w && n - w, n < w * (h - 1) && n + w]) {
      if (next !== false && !seen[next] && alike(next)) {
        seen[next] = 1;
        stack.push(next);
      }
    }
  }
  layer.pen.putImageData(out, 0, 0);
  layer.painted = layer.dirty = true;
}
