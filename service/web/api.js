// Talking to the service, and what to say when it refuses.

import { askForKey, keyHeaders } from "./key.js";

/** An error whose text is meant for people. */
export class Refusal extends Error {
  constructor(title, detail, problem = {}) {
    super(detail);
    this.title = title;
    this.problem = problem;
  }
}

/** Ask the service; where it wants an API key, the visitor is asked for one, until it is right. */
export async function call(path, options = {}) {
  let headers = keyHeaders();
  let answer = await send(path, options, headers);
  while (answer.status === 401 && (await askForKey(headers))) {
    headers = keyHeaders();
    answer = await send(path, options, headers);
  }
  if (answer.ok) return answer;
  if (answer.status === 401) throw new Refusal("This server requires an API key", "Enter one to continue.", { status: 401 });
  throw refusal(await answer.json().catch(() => ({})), answer);
}

async function send(path, options, headers) {
  try {
    return await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server cannot be reached", "Is it still running? Try again in a moment.");
  }
}

/** What a problem document says, in a form for people. */
export function refusal(problem, answer = { status: problem.status, statusText: "" }) {
  const title = problem.title ? sentence(problem.title) : `The server answered ${answer.status}`;
  const id = answer.status >= 500 && problem.request_id ? ` (request ${problem.request_id})` : "";
  return new Refusal(title, sentence(problem.detail ?? answer.statusText) + id, { status: answer.status, ...problem });
}

export async function fetchModels() {
  return (await call("/models")).json();
}

/** Segment one image; resolves to the JSON answer with run lengths and the indexed PNG. */
export async function segment(blob, name, model, signal) {
  return (await call(`/segment?${wanted(model)}`, { method: "POST", body: form(blob, name), signal })).json();
}

/** The image as the server reads it, where the browser cannot: a TIFF, three bands of many (`4,3,2`). */
export async function picture(blob, name, model, bands, signal) {
  const options = new URLSearchParams({ model, variant: "overlay", opacity: 0, ...(bands && { bands }) });
  const answer = await call(`/segment?${options}`, { method: "POST", body: form(blob, name), signal });
  return createImageBitmap(await answer.blob());
}

/** The options of the page's requests. */
export const wanted = (model) => new URLSearchParams({ model, format: "json", masks: "rle,png" });

/** A form with one image. */
export function form(blob, name) {
  const body = new FormData();
  body.append("file", blob, name);
  return body;
}

export async function fetchBlob(path) {
  return (await call(path)).blob();
}

/** Begin with a capital, but leave names such as "a.png" as they are. */
function sentence(text) {
  if (!/^[a-z]+[ ,;:]/.test(text)) return text;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
