// The visitor's request as a program would make it.

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const python = (text) => JSON.stringify(text);

/** `curl` and Python for one image and model; `origin` is where this page came from. */
export function snippets({ origin, name, model }) {
  const query = new URLSearchParams({ model });
  return {
    curl: `curl -F file=@${shell(name)} -o mask.png \\\n  ${shell(`${origin}/segment?${query}`)}`,
    python: [
      "from maskzoo import Client",
      "",
      `with Client(${python(origin)}) as client:`,
      `    found = client.segment(${python(name)}, model=${python(model)})`,
      "    print(found.shares(), found.labels.shape)",
    ].join("\n"),
  };
}

/** Copy a text; false where the browser does not allow it, and then the text is selected instead. */
export async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return false;
  }
}
