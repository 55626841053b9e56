// The page: choose an image and a model, see the mask over it.

import { Refusal, fetchBlob, fetchModels, picture, segment } from "./api.js";
import { BandPicker } from "./bands.js";
import { takePhoto } from "./camera.js";
import { cocoDocument } from "./coco.js";
import { History } from "./history.js";
import { JobView, runJob } from "./jobs.js";
import { hasKey } from "./key.js";
import { Legend, percent } from "./legend.js";
import { LabelMap } from "./mask.js";
import { copy, snippets } from "./snippets.js";

const MAX_CANVAS_PIXELS = 12_000_000; // phones refuse larger canvases
const element = (id) => document.getElementById(id);

const page = Object.fromEntries(
  ["drop", "figure", "canvases", "image", "mask", "busy", "tip", "caption", "error", "model", "model-note",
   "result", "opacity", "opacity-value", "legend", "again", "status", "file", "limits", "mask-b", "line", "divider", "divide",
   "name-a", "name-b", "compare", "compare-field", "classes-a", "classes-b", "legend-b", "other", "history", "curl", "python",
   "camera", "camera-button", "job", "python-part", "bands"].map((id) => [id, element(id)]),
);
const legend = new Legend(page.legend, paint);
const otherLegend = new Legend(page["legend-b"], paint);
const history = new History(page.history, reopen);
const jobView = new JobView(page.job);
const picker = new BandPicker(page.bands, showBands);
// `other` is the second model's answer while two are compared.
const state = { models: [], limits: null, source: null, answer: null, map: null, work: null, other: null, masksHidden: false };

// --- What the visitor does ---------------------------------------------------------------------

const actions = {
  choose: () => page.file.click(),
  close: reset,
  cancel: cancel,
  key: loadModels,
  "save-mask": () => save(fromBase64(state.answer.png), "mask.png"),
  "save-overlay": saveOverlay,
  "save-coco": saveCoco,
  "copy-curl": () => copyText(page.curl, "curl"),
  "copy-python": () => copyText(page.python, "Python"),
  camera: useCamera,
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-action]");
  if (button) actions[button.dataset.action]();
});
for (const button of document.querySelectorAll("[data-sample]")) {
  button.addEventListener("click", () => openSample(button.dataset));
}
page.file.addEventListener("change", () => {
  if (page.file.files.length) open(page.file.files[0]);
  page.file.value = "";
});
page.model.addEventListener("change", () => {
  describeModel();
  if (state.source) run();
});
page.compare.addEventListener("change", () => {
  if (state.answer) runOther();
});
page.divide.addEventListener("input", showDivision);
page.opacity.addEventListener("input", () => {
  page["opacity-value"].textContent = `${page.opacity.value} %`;
  showOpacity();
});
for (const kind of ["pointermove", "pointerdown"]) page.canvases.addEventListener(kind, pointAt);
page.canvases.addEventListener("pointerleave", () => {
  page.tip.hidden = true;
  legend.point(null);
  otherLegend.point(null);
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("select, textarea, input, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "o") page.file.click();
  else if (event.key === "Escape" && state.source) reset();
  else if (event.key === "h" && state.map) toggleMasks();
  else if (/^[1-9]$/.test(event.key) && state.map) legend.toggle(Number(event.key) - 1);
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((item) => item.type.startsWith("image/"));
  if (file) open(file);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
});

// --- Models ------------------------------------------------------------------------------------

async function loadModels() {
  try {
    const list = await fetchModels();
    state.models = list.models;
    state.limits = list.limits;
    page.limits.textContent = `, up to ${megabytes(list.limits.job_max_bytes)}`;
    clearError();
    showModels(list.default);
  } catch (error) {
    page.model.replaceChildren(new Option("none"));
    showError(error);
  }
}

const megabytes = (bytes) => (bytes >= 2 ** 30 ? `${Number((bytes / 2 ** 30).toFixed(1))} GB` : `${Math.floor(bytes / 2 ** 20)} MB`);

function showModels(chosen) {
  const usable = state.models.filter((model) => model.state !== "failed");
  page.model.replaceChildren(...state.models.map((model) => {
    const option = new Option(model.state === "failed" ? `${model.name} (cannot be served)` : model.name, model.name);
    option.disabled = model.state === "failed";
    return option;
  }));
  page.model.disabled = usable.length === 0;
  if (usable.length === 0) {
    if (!state.models.length) page.model.replaceChildren(new Option("none"));
    showError(new Refusal("There is no model to use", "Start the service with a folder of bundles: maskzoo serve --bundles FOLDER"));
    return;
  }
  page.model.value = chosen;
  page["compare-field"].hidden = usable.length < 2;
  page["camera-button"].hidden = !navigator.mediaDevices?.getUserMedia;
  describeModel();
}

function describeModel() {
  const model = state.models.find((item) => item.name === page.model.value);
  if (!model) return;
  const parts = [model.architecture, model.encoder].filter(Boolean).join(" on ");
  const score = typeof model.mean_iou === "number" ? `, mean IoU ${percent(model.mean_iou)}` : "";
  page["model-note"].textContent = `${parts}, ${model.classes.length} classes${score}`;
  const others = state.models.filter((item) => item.name !== model.name && item.state !== "failed");
  const chosen = page.compare.value;
  page.compare.replaceChildren(new Option("nothing", ""), ...others.map((item) => new Option(item.name, item.name)));
  page.compare.value = others.some((item) => item.name === chosen) ? chosen : "";
}

/** A mask over everything shows nothing: what is none of the classes starts hidden. */
function hideBackground() {
  for (const model of state.models) {
    const background = model.classes[model.background ?? -1];
    if (!background || model.classes.length < 2) continue;
    legend.hidden.add(background.name);
    otherLegend.hidden.add(background.name);
  }
}

// --- Images ------------------------------------------------------------------------------------

async function openSample({ sample, model }) {
  if (state.models.some((item) => item.name === model && item.state !== "failed")) {
    page.model.value = model;
    describeModel();
  }
  try {
    await open(await fetchBlob(`/web/samples/${sample}.jpg`), `${sample}.jpg`);
  } catch (error) {
    showError(error);
  }
}

async function open(blob, name = blob.name || "image") {
  clearError();
  if (state.limits && blob.size > state.limits.job_max_bytes) {
    showError(new Refusal("The file is too large",
      `${name} has ${(blob.size / 2 ** 20).toFixed(1)} MB; this server takes ${megabytes(state.limits.job_max_bytes)}.`));
    return;
  }
  legend.forget();
  otherLegend.forget();
  hideBackground();
  forgetAnswer();
  // Kept as bytes: a file that changes or vanishes on disk can be sent again.
  state.source = { blob: new Blob([await blob.arrayBuffer()], { type: blob.type }), name, bitmap: null, isHuge: blob.size > state.limits?.max_bytes };
  state.source.bitmap = await createImageBitmap(blob).catch(() => null);
  if (state.source.bitmap) showImage(state.source.bitmap.width, state.source.bitmap.height);
  await run();
}

function showImage(width, height) {
  const shrink = Math.min(1, Math.sqrt(MAX_CANVAS_PIXELS / (width * height)));
  for (const canvas of [page.image, page.mask, page["mask-b"]]) {
    canvas.width = Math.round(width * shrink);
    canvas.height = Math.round(height * shrink);
  }
  page.canvases.style.setProperty("--ratio", width / height);
  page.canvases.style.setProperty("--pixels", width);
  if (state.source.bitmap) {
    page.image.getContext("2d").drawImage(state.source.bitmap, 0, 0, page.image.width, page.image.height);
  }
  page.drop.hidden = true;
  page.figure.hidden = false;
  page.again.hidden = false;
}

async function run() {
  if (page.model.disabled) return;
  state.work?.abort();
  const work = (state.work = new AbortController());
  const started = performance.now();
  clearError();
  page.busy.hidden = false;
  page.status.textContent = "Segmenting…";
  try {
    const answer = await ask(page.model.value, work.signal);
    const { source } = state;
    picker.offer(source.isHuge ? null : bandsOf(page.model.value), source.bands);
    if (!source.isHuge && (!source.bitmap || picker.value)) {
      await loadPicture(source, work.signal).catch(() => null); // the mask is shown without it
      if (work.signal.aborted) return;
    }
    showAnswer(answer, page.model.value);
    showTimings(answer, performance.now() - started);
    history.add({ source: state.source, model: page.model.value, answer }, page.image, page.mask, page.opacity.value / 100);
    if (page.compare.value) await runOther();
  } catch (error) {
    if (error.name === "AbortError") return;
    forgetAnswer();
    showError(error);
  }
  if (state.work === work) page.busy.hidden = true;
}

const bandsOf = (model) => state.models.find((item) => item.name === model)?.bands ?? null;

/** Fetch the picture that the server draws of the image, with the chosen bands where there are many. */
async function loadPicture(source, signal) {
  const bands = picker.value;
  source.bitmap = await picture(source.blob, source.name, page.model.value, bands, signal);
  source.bands = bands;
}

/** Show other bands of the same image; it is not segmented again. */
async function showBands() {
  const { source } = state;
  const work = (state.work = new AbortController());
  clearError();
  page.busy.hidden = false;
  try {
    await loadPicture(source, work.signal);
    showImage(state.answer.width, state.answer.height);
    paint();
  } catch (error) {
    if (error.name === "AbortError") return;
    picker.offer(bandsOf(page.model.value), source.bands);
    showError(error);
  }
  if (state.work === work) page.busy.hidden = true;
}

/** Let a model segment the image: at once, or as a job where the server says that it is too large. */
async function ask(model, signal) {
  const { source } = state;
  if (!source.isHuge) {
    try {
      return await segment(source.blob, source.name, model, signal);
    } catch (error) {
      if (!error.problem?.jobs) throw error;
      source.isHuge = true;
    }
  }
  page.status.textContent = "";
  try {
    return await runJob(source.blob, source.name, model, signal, (job) => {
      if (signal.aborted) return;
      if (!source.bitmap && job.width && page.figure.hidden) showImage(job.width, job.height);
      page.busy.hidden = true; // the bar says more
      jobView.show(job);
    });
  } finally {
    if (state.work?.signal === signal || !state.work) jobView.hide();
  }
}

function cancel() {
  reset();
  page.status.textContent = "Cancelled.";
}

/** Let the second model segment the same image, and draw both. */
async function runOther() {
  hideOther();
  if (!page.compare.value) return;
  const work = (state.work = new AbortController());
  page.busy.hidden = false;
  try {
    const answer = await ask(page.compare.value, work.signal);
    state.other = { answer, map: new LabelMap(answer) };
    otherLegend.show(answer.classes);
    page["classes-a"].textContent = `Classes of ${page.model.value}`;
    page["classes-b"].textContent = `Classes of ${page.compare.value}`;
    page["name-a"].textContent = page.model.value;
    page["name-b"].textContent = page.compare.value;
    for (const id of ["mask-b", "line", "divider", "other"]) page[id].hidden = false;
    showDivision();
    showOpacity();
    paint();
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  }
  if (state.work === work) page.busy.hidden = true;
}

function hideOther() {
  state.other = null;
  page["classes-a"].textContent = "Classes";
  for (const id of ["mask-b", "line", "divider", "other"]) page[id].hidden = true;
  page.mask.style.clipPath = "";
}

/** Left of the line is the first model, right of it the second. */
function showDivision() {
  if (!state.other) return;
  const at = Number(page.divide.value);
  page.mask.style.clipPath = `inset(0 ${100 - at}% 0 0)`;
  page["mask-b"].style.clipPath = `inset(0 0 0 ${at}%)`;
  page.line.style.left = `${at}%`;
}

function showOpacity() {
  const opacity = state.masksHidden ? 0 : page.opacity.value / 100;
  page.mask.style.opacity = page["mask-b"].style.opacity = opacity;
}

function toggleMasks() {
  state.masksHidden = !state.masksHidden;
  showOpacity();
  page.status.textContent = state.masksHidden ? "The mask is hidden; H shows it." : "The mask is shown.";
}

/** Show an earlier answer of this visit again; nothing is sent. */
function reopen({ source, model, answer }) {
  state.work?.abort();
  jobView.hide();
  clearError();
  page.busy.hidden = true;
  state.source = source;
  page.model.value = model;
  page.compare.value = "";
  hideOther();
  describeModel();
  picker.offer(source.isHuge ? null : bandsOf(model), source.bands);
  showAnswer(answer, model);
}

function showAnswer(answer, model) {
  state.answer = answer;
  state.map = new LabelMap(answer);
  showImage(answer.width, answer.height);
  legend.show(answer.classes);
  paint();
  page.result.hidden = false;
  showOpacity();
  const { name, isHuge } = state.source;
  const texts = snippets({ origin: location.origin, name, model, isHuge, hasKey: hasKey() });
  page.curl.textContent = texts.curl;
  page.python.textContent = texts.python ?? "";
  page["python-part"].hidden = !texts.python;
  const blind = state.source.bitmap ? "" : " · your browser cannot show this format, so only the mask is shown";
  page.caption.textContent = `${state.source.name} · ${answer.width} × ${answer.height}${blind}`;
  const fractions = answer.classes.map((entry) => `${entry.name} ${percent(entry.fraction)}`);
  page.mask.setAttribute("aria-label", `The mask over the image: ${fractions.join(", ")}`);
}

function showTimings(answer, elapsed) {
  const stages = Object.entries(answer.timings_ms).map(([stage, ms]) => `${stage} ${ms.toFixed(0)} ms`);
  page.status.textContent = `Done in ${(elapsed / 1000).toFixed(2)} s (${stages.join(", ")})`;
}

function paint() {
  if (state.map) state.map.paint(page.mask, legend.colours());
  if (state.other) state.other.map.paint(page["mask-b"], otherLegend.colours());
}

function pointAt(event) {
  if (!state.map) return;
  const box = page.mask.getBoundingClientRect();
  const x = Math.floor(((event.clientX - box.left) / box.width) * state.map.width);
  const y = Math.floor(((event.clientY - box.top) / box.height) * state.map.height);
  const isOther = state.other !== null && event.clientX - box.left > (box.width * page.divide.value) / 100;
  const { answer, map } = isOther ? state.other : state;
  const id = map.at(x, y);
  const found = answer.classes.find((entry) => entry.id === id);
  legend.point(isOther ? null : id);
  otherLegend.point(isOther ? id : null);
  page.tip.hidden = !found;
  if (!found) return;
  page.tip.textContent = `${found.name} (${x}, ${y})`;
  const left = Math.min(event.clientX - box.left + 14, box.width - page.tip.offsetWidth - 4);
  const top = event.clientY - box.top < 48 ? event.clientY - box.top + 22 : event.clientY - box.top - 36;
  page.tip.style.transform = `translate(${Math.max(4, left)}px, ${top}px)`;
}

// --- Saving and the rest -----------------------------------------------------------------------

function saveOverlay() {
  const canvas = document.createElement("canvas");
  canvas.width = page.image.width;
  canvas.height = page.image.height;
  const context = canvas.getContext("2d");
  context.drawImage(page.image, 0, 0);
  context.globalAlpha = page.opacity.value / 100;
  const divide = state.other ? Math.round((canvas.width * page.divide.value) / 100) : canvas.width;
  if (divide > 0) context.drawImage(page.mask, 0, 0, divide, canvas.height, 0, 0, divide, canvas.height);
  const rest = canvas.width - divide;
  if (rest > 0) context.drawImage(page["mask-b"], divide, 0, rest, canvas.height, divide, 0, rest, canvas.height);
  canvas.toBlob((blob) => save(blob, "overlay.png"), "image/png");
}

function saveCoco() {
  const model = state.models.find((item) => item.name === state.answer.model);
  const text = JSON.stringify(cocoDocument(state.answer, model.classes, state.source.name));
  save(new Blob([text], { type: "application/json" }), "coco.json");
}

async function copyText(from, what) {
  const copied = await copy(from);
  page.status.textContent = copied ? `Copied: ${what}.` : "Selected; press Ctrl+C to copy it.";
}

async function useCamera() {
  clearError();
  try {
    const photo = await takePhoto(page.camera);
    if (photo) await open(photo, "camera.jpg");
  } catch (error) {
    showError(error instanceof DOMException ? new Refusal("The camera cannot be used", error.message) : error);
  }
}

function save(blob, suffix) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${state.source.name.replace(/\.[^.]*$/, "")}-${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function fromBase64(text) {
  return new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type: "image/png" });
}

function forgetAnswer() {
  state.answer = null;
  state.map = null;
  hideOther();
  page.result.hidden = true;
  page.tip.hidden = true;
  page.mask.getContext("2d").clearRect(0, 0, page.mask.width, page.mask.height);
}

function reset() {
  state.work?.abort();
  jobView.hide();
  forgetAnswer();
  clearError();
  Object.assign(state, { source: null, work: null });
  page.figure.hidden = page.again.hidden = page.busy.hidden = true;
  page.drop.hidden = false;
  page.status.textContent = "";
  page.drop.querySelector("button").focus();
}

function showError(error) {
  const title = document.createElement("strong");
  title.textContent = error instanceof Refusal ? error.title : "Something went wrong in this page";
  page.error.replaceChildren(title, error.message);
  if (error.problem?.status === 401) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.action = "key";
    button.textContent = "Enter a key";
    page.error.append(button);
  }
  page.error.hidden = false;
  page.error.scrollIntoView({ block: "nearest" });
  page.status.textContent = "";
  if (!(error instanceof Refusal)) throw error;
}

function clearError() {
  page.error.hidden = true;
}

loadModels();
