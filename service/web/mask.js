// Label maps in the browser: read COCO run lengths, paint, look up.

const NOTHING = 0xffff;

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
    this.labels = new Uint16Array(width * height).fill(NOTHING);
    for (const entry of classes) this.#fill(entry.id, decodeCounts(entry.mask.counts));
  }

  #fill(label, counts) {
    let pixel = 0; // counted down the columns
    counts.forEach((length, index) => {
      if (index % 2 === 0) {
        pixel += length;
        return;
      }
      let x = Math.floor(pixel / this.height);
      let y = pixel % this.height;
      for (let left = length; left > 0; left--) {
        this.labels[y * this.width + x] = label;
        if (++y === this.height) {
          y = 0;
          x++;
        }
      }
      pixel += length;
    });
  }

  /** The class id at a place, or null. */
  at(x, y) {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return null;
    const label = this.labels[y * this.width + x];
    return label === NOTHING ? null : label;
  }

  /** Paint the map onto a canvas of any size; `colours` is a Map of id to [r, g, b]. */
  paint(canvas, colours) {
    const context = canvas.getContext("2d");
    const picture = context.createImageData(canvas.width, canvas.height);
    const words = new Uint32Array(picture.data.buffer);
    const table = new Map([...colours].map(([id, [r, g, b]]) => [id, (255 << 24) | (b << 16) | (g << 8) | r]));
    const stepX = this.width / canvas.width;
    const stepY = this.height / canvas.height;
    for (let y = 0, out = 0; y < canvas.height; y++) {
      const row = Math.floor((y + 0.5) * stepY) * this.width;
      for (let x = 0; x < canvas.width; x++, out++) {
        words[out] = table.get(this.labels[row + Math.floor((x + 0.5) * stepX)]) ?? 0;
      }
    }
    context.putImageData(picture, 0, 0);
  }
}
