// The visitor's request as a program would make it.

const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
const python = (text) => JSON.stringify(text);

/** `curl` and Python for one image and model; `origin` is where this page came from.
 *
 * A huge image becomes a job, which is shown by curl alone. The key itself is never written.
 */
export function snippets({ origin, name, model, isHuge, hasKey }) {
  const query = new URLSearchParams(isHuge ? { model, format: "png" } : { model });
  const key = hasKey ? '-H "Authorization: Bearer $MASKZOO_KEY" ' : "";
  const send = `curl ${key}-F file=@${shell(name)}`;
  if (isHuge) {
    return {
      curl: [
        `${send} \\\n  ${shell(`${origin}/jobs?${query}`)}`,
        "# the answer contains the ID of the job; once it is done:",
        `curl ${key}-o mask.png ${origin}/jobs/ID/result`,
      ].join("\n"),
    };
  }
  return {
    curl: `${send} -o mask.png \\\n  ${shell(`${origin}/segment?${query}`)}`,
    python: [
      ...(hasKey ? ["import os", ""] : []),
      "from maskzoo import Client",
      "",
      `with Client(${python(origin)}${hasKey ? ', key=os.environ["MASKZOO_KEY"]' : ""}) as client:`,
      `    answer = client.segment(${python(name)}, model=${python(model)})`,
      "    print(answer.fractions(), answer.label_map.shape)",
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
