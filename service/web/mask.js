// Label maps in the browser: read COCO run lengths, paint, look up.

const NOTHING = 0xffff;
const MAX_PIXELS = 16_000_000; // of a huge map, every second or third pixel is kept

/** Decode COCO's ASCII string into run lengths; the first run is of zeros. */
export function decodeCounts(text) {
  const counts = [];
  let position = 0;
  while (position < text.length) {
    let value = 0;
    let shift = 0;
    let more = true;
    while (more) {
      const byte = text.charCodeAt(position++) - 48;
      value |= (byte & 0x1f) << shift;
      shift += 5;
      more = (byte & 0x20) !== 0;
      if (!more && byte & 0x10) value |= -1 << shift;
    }
    counts.push(counts.length > 2 ? value + counts[counts.length - 2] : value);
  }
  return counts;
}

/** A label map from the classes of a JSON answer; row by row, as canvases are. */
export class LabelMap {
  constructor({ width, height, classes }) {
    this.width = width;
    this.height = height;
    this.step = Math.ceil(Math.sqrt((width * height) / MAX_PIXELS));
    this.columns = Math.ceil(width / this.step);
    this.labels = new Uint16Array(this.columns * Math.ceil(height / this.step)).fill(NOTHING);
    for (const entry of classes) this.#fill(entry.id, decodeCounts(entry.mask.counts));
  }

  #fill(label, counts) {
    let pixel = 0; // counted down the columns
    counts.forEach((length, index) => {
      if (index % 2 === 0) {
        pixel += length;
        return;
      }
      const end = pixel + length;
      while (pixel < end) {
        const x = Math.floor(pixel / this.height);
        const top = pixel - x * this.height;
        const bottom = Math.min(this.height, top + end - pixel);
        if (x % this.step === 0) this.#column(label, x / this.step, top, bottom);
        pixel += bottom - top;
      }
    });
  }

  #column(label, column, top, bottom) {
    const last = Math.ceil(bottom / this.step);
    for (let row = Math.ceil(top / this.step); row < last; row++) this.labels[row * this.columns + column] = label;
  }

  /** The class id at a place, or null. */
  at(x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return null;
    const label = this.labels[Math.floor(y / this.step) * this.columns + Math.floor(x / this.step)];
    return label === NOTHING ? null : label;
  }

  /** Paint the map onto a canvas of any size; `colours` is a Map of id to [r, g, b]. */
  paint(canvas, colours) {
    const context = canvas.getContext("2d");
    const drawn = context.createImageData(canvas.width, canvas.height);
    const words = new Uint32Array(drawn.data.buffer);
    const table = new Map([...colours].map(([id, [r, g, b]]) => [id, (255 << 24) | (b << 16) | (g << 8) | r]));
    const stepX = this.width / canvas.width / this.step;
    const stepY = this.height / canvas.height / this.step;
    for (let y = 0, out = 0; y < canvas.height; y++) {
      const row = Math.floor((y + 0.5) * stepY) * this.columns;
      for (let x = 0; x < canvas.width; x++, out++) {
        words[out] = table.get(this.labels[row + Math.floor((x + 0.5) * stepX)]) ?? 0;
      }
    }
    context.putImageData(drawn, 0, 0);
  }
}
