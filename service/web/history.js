// The images of this visit: a row of thumbnails; nothing of it is stored anywhere.

const MOST = 12;
const SIDE = 72;

export class History {
  constructor(list, onChoose) {
    this.list = list;
    this.onChoose = onChoose;
    this.entries = [];
  }

  /** Add an answer, the newest first; the same image and model again takes the place of the old one. */
  add(entry, image, mask, opacity) {
    this.entries = this.entries.filter((old) => old.source !== entry.source || old.model !== entry.model);
    this.entries.unshift({ ...entry, thumbnail: thumbnail(image, mask, opacity) });
    this.entries.length = Math.min(this.entries.length, MOST);
    this.#show(entry);
  }

  #show(current) {
    this.list.replaceChildren(
      ...this.entries.map((entry) => {
        const button = document.createElement("button");
        button.type = "button";
        button.setAttribute("aria-label", `${entry.source.name} by ${entry.model}`);
        button.title = `${entry.source.name} · ${entry.model}`;
        const is_current = entry.source === current.source && entry.model === current.model;
        button.setAttribute("aria-current", String(is_current));
        const small = new Image(SIDE, SIDE);
        small.src = entry.thumbnail;
        small.alt = "";
        button.append(small);
        button.addEventListener("click", () => {
          this.#show(entry);
          this.onChoose(entry);
        });
        const item = document.createElement("li");
        item.append(button);
        return item;
      }),
    );
    this.list.closest("section").hidden = this.entries.length < 2;
  }
}

function thumbnail(image, mask, opacity) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE * 2;
  const context = canvas.getContext("2d");
  const side = Math.min(image.width, image.height);
  const place = [(image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, canvas.width, canvas.height];
  context.drawImage(image, ...place);
  context.globalAlpha = opacity;
  context.drawImage(mask, ...place);
  return canvas.toDataURL("image/jpeg", 0.8);
}
