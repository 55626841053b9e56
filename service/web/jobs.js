// Images that are too large for an answer at once: a job, its progress, its result.

import { Refusal, call, form, refusal, wanted } from "./api.js";

const RETRY_MS = 2000;
const MOST_RETRIES = 15; // a server that is started again is back by then

/** Segment one image as a job; `onChange` gets each of its documents, the first one without an id.
 *
 * Aborting `signal`, or leaving the page, cancels the job. Its files are removed in any case.
 */
export async function runJob(blob, name, model, signal, onChange) {
  onChange({ state: "sending" });
  const answer = await call(`/jobs?${wanted(model)}`, { method: "POST", body: form(blob, name), signal });
  let job = await answer.json();
  const place = `/jobs/${job.id}`;
  const forget = () => call(place, { method: "DELETE", keepalive: true }).catch(() => {});
  addEventListener("pagehide", forget);
  try {
    onChange(job);
    for await (job of changes(place, signal)) onChange(job);
    if (job.state === "failed") throw refusal(job.error);
    if (job.state !== "done") throw new Refusal("The job was cancelled", "Send the image again.");
    return await (await call(job.result, { signal })).json();
  } finally {
    removeEventListener("pagehide", forget);
    await forget();
  }
}

/** The documents of a job until it has ended; a stream that breaks off is opened again. */
async function* changes(place, signal) {
  for (let failures = 0; ; failures++) {
    try {
      for await (const job of events(await call(`${place}/events`, { signal }))) {
        failures = 0;
        yield job;
        if (!["queued", "running"].includes(job.state)) return;
      }
    } catch (error) {
      if (error.name === "AbortError" || error.problem?.status || failures >= MOST_RETRIES) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    signal.throwIfAborted();
  }
}

/** The data of server-sent events. EventSource cannot send the key, so the stream is read here. */
async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const lines = part.split("\n").filter((line) => line.startsWith("data: "));
      if (lines.length) yield JSON.parse(lines.map((line) => line.slice(6)).join("\n"));
    }
  }
}

/** Shows how far a job is: a bar, and words below it. */
export class JobView {
  constructor(box) {
    this.box = box;
    this.bar = box.querySelector("progress");
    this.note = box.querySelector("[data-note]");
  }

  show(job) {
    if (this.box.hidden) this.started = null;
    const isNew = this.box.hidden;
    this.box.hidden = false;
    if (isNew) this.box.scrollIntoView({ block: "nearest" });
    if (job.state === "running" && job.tiles_done > 0) {
      this.started ??= { at: performance.now(), done: job.tiles_done };
      this.bar.value = job.progress;
    } else {
      this.started = null;
      this.bar.removeAttribute("value"); // how long it takes is not known
    }
    this.note.textContent = this.#words(job);
  }

  hide() {
    this.box.hidden = true;
  }

  #words({ state, tiles, tiles_done: done, width, height }) {
    if (state === "sending") return "Sending the image…";
    if (state === "queued") return "Waiting for its turn…";
    if (!tiles || !done) return `${width} × ${height} pixels: reading the image…`;
    if (done >= tiles || state !== "running") return "All tiles are done; writing the mask…";
    const each = (performance.now() - this.started.at) / (done - this.started.done);
    const left = Number.isFinite(each) ? `, ${time((each * (tiles - done)) / 1000)} left` : "";
    return `${done} of ${tiles} tiles${left}`;
  }
}

function time(seconds) {
  return seconds < 90 ? `about ${Math.max(1, Math.round(seconds))} s` : `about ${Math.round(seconds / 60)} min`;
}
