// The bands of many that a picture shows: one list each for red, green and blue.

const COLOURS = ["red", "green", "blue"];

/** Three lists of a model's bands; `choose(bands)` is called with a choice such as "4,3,2". */
export class BandPicker {
  constructor(fieldset, choose) {
    this.fieldset = fieldset;
    this.lists = [...fieldset.querySelectorAll("select")];
    fieldset.addEventListener("change", () => choose(this.value));
  }

  /** The numbers of the chosen bands, or null where the model takes none. */
  get value() {
    return this.fieldset.hidden ? null : this.lists.map((list) => list.value).join(",");
  }

  /** Offer the bands of a model, those that were shown before (`value`) if it has them. */
  offer(bands, value = null) {
    this.fieldset.hidden = !bands || bands.length < 2;
    if (this.fieldset.hidden) return;
    const known = bands.map((band) => String(band.number));
    const before = value?.split(",") ?? [];
    const shown = before.length === 3 && before.every((number) => known.includes(number)) ? before : usual(bands);
    this.lists.forEach((list, place) => {
      list.replaceChildren(...bands.map((band) => new Option(label(band), band.number)));
      list.value = shown[place];
    });
  }
}

/** Red, green and blue by name, else the first three bands, else the first one as grey. */
function usual(bands) {
  const named = COLOURS.map((colour) => bands.find((band) => band.name.toLowerCase() === colour));
  const chosen = named.every(Boolean) ? named : bands.length >= 3 ? bands.slice(0, 3) : [bands[0], bands[0], bands[0]];
  return chosen.map((band) => String(band.number));
}

const label = (band) => (band.name === `band ${band.number}` ? band.name : `${band.number} · ${band.name}`);
