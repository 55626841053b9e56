// The legend: a button for each class, its colour, its fraction of the image; pressed means shown.

export class Legend {
  constructor(list, onChange) {
    this.list = list;
    this.onChange = onChange;
    this.hidden = new Set();
    this.buttons = new Map();
  }

  /** Show the classes of an answer, the largest first; what was hidden stays so by name. */
  show(classes) {
    this.classes = [...classes].sort((one, other) => other.pixels - one.pixels);
    this.buttons = new Map(this.classes.map((entry) => [entry.id, this.#button(entry)]));
    this.list.replaceChildren(
      ...[...this.buttons.values()].map((button) => {
        const item = document.createElement("li");
        item.append(button);
        return item;
      }),
    );
  }

  forget() {
    this.hidden.clear();
  }

  /** The colours to paint: a Map of class id to [r, g, b], without the hidden classes. */
  colours() {
    const shown = this.classes.filter((entry) => !this.hidden.has(entry.name));
    return new Map(shown.map((entry) => [entry.id, triple(entry.colour)]));
  }

  /** Hide or show the class at a place of the list. */
  toggle(index) {
    this.list.querySelectorAll("button")[index]?.click();
  }

  /** Mark the class under the pointer; null marks none. */
  point(id) {
    for (const [key, button] of this.buttons) button.classList.toggle("under-pointer", key === id);
  }

  #button(entry) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(!this.hidden.has(entry.name)));
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = entry.colour;
    button.append(swatch, span("name", entry.name), span("fraction", percent(entry.fraction)));
    button.title = `${entry.pixels.toLocaleString("en")} pixels, mean confidence ${percent(entry.confidence)}`;
    button.addEventListener("click", () => {
      const shown = this.hidden.has(entry.name);
      if (shown) this.hidden.delete(entry.name);
      else this.hidden.add(entry.name);
      button.setAttribute("aria-pressed", String(shown));
      this.onChange();
    });
    return button;
  }
}

export function percent(fraction) {
  const value = 100 * fraction;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${value.toFixed(1)} %`;
}

function triple(colour) {
  return [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
}

function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}
