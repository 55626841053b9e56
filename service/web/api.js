// Talking to the service, and what to say when it refuses.

/** An error whose text is meant for people. */
export class Refusal extends Error {
  constructor(title, detail) {
    super(detail);
    this.title = title;
  }
}

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server cannot be reached", "Is it still running? Try again in a moment.");
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  const title = problem.title ? sentence(problem.title) : `The server answered ${answer.status}`;
  const id = answer.status >= 500 && problem.request_id ? ` (request ${problem.request_id})` : "";
  throw new Refusal(title, sentence(problem.detail ?? answer.statusText) + id);
}

export async function fetchModels() {
  return (await call("/models")).json();
}

/** Segment one image; resolves to the JSON answer with run lengths and the indexed PNG. */
export async function segment(blob, name, model, signal) {
  const body = new FormData();
  body.append("file", blob, name);
  const query = new URLSearchParams({ model, format: "json", masks: "rle,png" });
  return (await call(`/segment?${query}`, { method: "POST", body, signal })).json();
}

export async function fetchBlob(path) {
  return (await call(path)).blob();
}

/** Begin with a capital, but leave names such as "a.png" as they are. */
function sentence(text) {
  if (!/^[a-z]+[ ,;:]/.test(text)) return text;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
