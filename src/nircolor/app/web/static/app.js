// The page: a list of images and, of the chosen one, the comparison and the options.

import { makeComparison } from "/static/compare.js";
import { changed, estimates, fill, given, suggested, values } from "/static/options.js";
import { dropped, group, send } from "/static/upload.js";

const $ = (id) => document.getElementById(id);
const UPLOADS = 2; // at the same time
const POLL_MS = 400;
const MEMORY = "nircolor-images";

const server = await call("GET", "/api");
const items = [];
let chosen = null;
let polling = false;
let view = "after"; // shown right of the line: or "confidence", where an image has one

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body ? { "content-type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });
  if (answer.status === 401) location.reload();
  if (answer.status === 204) return null;
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.detail);
  return content;
}

// images

function makeItem(name, files, state = null) {
  const item = { name, files, state, error: null, sent: 0, phase: state ? "stored" : "waiting", options: {},
    stop: new AbortController(), shown: "", timed: null };
  item.row = makeRow(item);
  items.push(item);
  $("list").append(item.row.line);
  return item;
}

function addFiles(files) {
  if (!files.length) return;
  const added = group([...files], server.extensions).map((parts) => {
    const item = makeItem(parts[0].name, parts);
    const bytes = parts.reduce((sum, file) => sum + file.size, 0);
    if (bytes > server.max_upload_bytes) {
      reject(item, `${item.name}: expected at most ${megabytes(server.max_upload_bytes)}, got ${megabytes(bytes)}`);
    }
    return item;
  });
  added.forEach(render);
  choose(added[0]);
  uploadNext();
}

function uploadNext() {
  while (items.filter((item) => item.phase === "uploading").length < UPLOADS) {
    const item = items.find((one) => one.phase === "waiting");
    if (!item) return;
    upload(item);
  }
}

async function upload(item) {
  item.phase = "uploading";
  render(item);
  try {
    const report = (share) => {
      item.sent = share;
      render(item);
    };
    item.state = await send(item.files, report, item.stop.signal);
    item.phase = "stored";
    item.files = null;
    remember();
    await run(item);
  } catch (error) {
    if (error.name !== "AbortError") reject(item, error.message);
  }
  uploadNext();
}

function reject(item, message) {
  item.phase = "rejected";
  item.error = message;
  say(message);
  render(item);
}

async function run(item, options = given(item.options)) {
  item.error = null;
  // options of another image may be applied to one whose model cannot
  if (!estimates(options.model ?? "auto", item, server.models)) delete options.confidence;
  try {
    item.state = await call("POST", `/api/images/${item.state.id}/run`, options);
  } catch (error) {
    item.error = error.message;
  }
  render(item);
  poll();
}

async function poll() {
  if (polling) return;
  polling = true;
  for (;;) {
    const busy = items.filter(isBusy);
    if (!busy.length) break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const query = new URLSearchParams(busy.slice(0, 50).map((item) => ["id", item.state.id]));
    let states;
    try {
      states = new Map((await call("GET", `/api/images?${query}`)).map((state) => [state.id, state]));
    } catch {
      continue; // the server may be back soon
    }
    for (const item of busy.slice(0, 50)) {
      const state = states.get(item.state.id);
      if (state) item.state = state;
      else setGone(item);
      if (!isBusy(item)) say(`${item.name}: ${words(item)}`);
      render(item);
    }
  }
  polling = false;
}

/** Note that the server has deleted an image, or will have. */
function setGone(item) {
  Object.assign(item, { phase: "gone", error: `${item.name}: was deleted from the server after its time` });
}

function watchTime(item) {
  if (item.timed === item.state) return;
  item.timed = item.state;
  clearTimeout(item.timer);
  if (isBusy(item)) return;
  const later = () => {
    setGone(item);
    render(item);
  };
  item.timer = setTimeout(later, Math.min(1000 * (item.state.expires_in + 1), 2 ** 31 - 1));
}

async function remove(item) {
  item.stop.abort();
  clearTimeout(item.timer);
  item.row.line.remove();
  const place = items.indexOf(item);
  items.splice(place, 1);
  if (chosen === item) choose(items[Math.min(place, items.length - 1)] ?? null);
  remember();
  renderTotals();
  if (item.state) await call("DELETE", `/api/images/${item.state.id}`).catch(() => {});
}

const isBusy = (item) => item.phase === "stored" && ["queued", "running"].includes(item.state.state);
const isDone = (item) => item.phase === "stored" && item.state.state === "done";
const megabytes = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const kindAndSize = (file) => `${file.name.split(".").pop().toUpperCase()}, ${megabytes(file.bytes)}`;
const preview = (item, which) => `/api/images/${item.state.id}/${which}.jpg?run=${item.state.run}`;
const problem = (item) => item.error ?? (item.state?.state === "failed" ? item.state.error : null);

function words(item) {
  if (item.phase === "waiting") return "waiting";
  if (item.phase === "uploading") return item.sent < 1 ? `uploading ${Math.floor(item.sent * 100)}%` : "reading";
  if (problem(item)) return { rejected: "cannot be read", gone: "deleted" }[item.phase] ?? "failed";
  const { state, position, progress, model } = item.state;
  if (state === "queued") return position ? `${position} before it` : "next";
  if (state === "running") return `${Math.floor(progress * 100)}%`;
  return state === "done" ? `done, ${model}` : state;
}

function say(text) {
  $("said").textContent = text;
}

// the list

function makeRow(item) {
  const make = (tag, name, parent) => {
    const element = document.createElement(tag);
    element.className = name;
    parent?.append(element);
    return element;
  };
  const line = make("li", "");
  const pick = make("button", "pick", line);
  pick.type = "button";
  const thumb = make("img", "thumb", pick);
  thumb.alt = "";
  thumb.hidden = true;
  const blank = make("span", "thumb", pick);
  const box = make("span", "words", pick);
  make("span", "title", box).textContent = item.name;
  const state = make("span", "state", box);
  const progress = make("progress", "", box);
  progress.setAttribute("aria-label", `Progress of ${item.name}`);
  const drop = make("button", "drop-one quiet", line);
  drop.type = "button";
  drop.textContent = "×";
  drop.setAttribute("aria-label", `Remove ${item.name}`);
  pick.addEventListener("click", () => choose(item));
  drop.addEventListener("click", () => remove(item));
  return { line, pick, thumb, blank, state, progress };
}

function render(item) {
  const { line, pick, thumb, blank, state, progress } = item.row;
  line.className = [item === chosen && "chosen", problem(item) && "failed"].filter(Boolean).join(" ");
  pick.setAttribute("aria-current", item === chosen);
  state.textContent = words(item);
  progress.hidden = !(item.phase === "uploading" || isBusy(item));
  progress.value = item.phase === "uploading" ? item.sent : (item.state?.progress ?? 0);
  if (item.phase === "stored" && (isDone(item) || thumb.hidden)) {
    const address = preview(item, isDone(item) ? "after" : "before");
    if (thumb.getAttribute("src") !== address) thumb.src = address;
    thumb.hidden = false;
    blank.hidden = true;
  }
  watchTime(item);
  if (item === chosen) renderChosen();
  renderTotals();
}

function renderTotals() {
  const done = items.filter(isDone);
  $("count").textContent = items.length > 1 ? `${done.length}/${items.length}` : "";
  $("all").hidden = done.length < 2;
  $("all").href = `/api/archive?${new URLSearchParams(done.map((item) => ["id", item.state.id]))}`;
  $("runall").hidden = items.length < 2;
  $("main").classList.toggle("empty", !items.length);
  $("start").hidden = items.length > 0;
  $("work").hidden = !items.length;
}

function remember() {
  const known = items.filter((item) => item.phase === "stored").map((item) => item.state.id);
  sessionStorage.setItem(MEMORY, JSON.stringify(known));
}

// the chosen image

function choose(item) {
  const before = chosen;
  chosen = item;
  if (before && items.includes(before)) render(before);
  if (!item) return renderTotals();
  item.shown = "";
  render(item);
}

function renderChosen() {
  const item = chosen;
  const stored = item.phase === "stored";
  $("name").textContent = item.state?.name ?? item.name;
  $("facts").textContent = stored ? describe(item.state) : "";
  $("problem").hidden = !problem(item);
  $("problemtext").textContent = problem(item) ?? "";
  const suggestion = problem(item) && stored ? suggested(item.state, problem(item)) : null;
  $("fix").hidden = !suggestion;
  $("fix").textContent = suggestion?.text ?? "";
  $("doubts").replaceChildren(...(stored ? item.state.warnings : []).map((text) => {
    const line = document.createElement("li");
    line.textContent = text;
    return line;
  }));
  $("busy").hidden = !(item.phase === "uploading" || isBusy(item));
  $("busytext").textContent = words(item);
  $("progress").value = item.phase === "uploading" ? item.sent : (item.state?.progress ?? 0);
  $("download").hidden = !isDone(item);
  if (isDone(item)) {
    $("download").href = `/api/images/${item.state.id}/result`;
    $("download").textContent = `Download ${kindAndSize(item.state.result)}`;
  }
  const sure = isDone(item) && item.state.confidence;
  $("views").hidden = $("downloadconfidence").hidden = !sure;
  if (sure) {
    $("downloadconfidence").href = `/api/images/${item.state.id}/confidence`;
    $("downloadconfidence").textContent = `Confidence ${kindAndSize(sure)}`;
  }
  $("options").hidden = !stored;
  $("run").disabled = isBusy(item);
  $("run").textContent = stored && item.state.run ? "Colorize again" : "Colorize";
  renderImages(item, stored);
  const key = `${item.state?.id} ${item.state?.run} ${item.state?.model}`;
  if (stored && item.shown !== key) {
    item.shown = key;
    fill($("options"), item, server.models);
  }
}

function renderImages(item, stored) {
  $("stage").hidden = ["rejected", "gone"].includes(item.phase);
  $("compare").hidden = !stored;
  if (!stored) {
    $("before").removeAttribute("src");
    return;
  }
  const done = isDone(item);
  const after = item.state.confidence ? view : "after";
  const right = after === "after" ? "Colour" : "Confidence";
  $("right").textContent = right;
  $("compare").style.setProperty("--ratio", item.state.width / item.state.height);
  $("compare").classList.toggle("alone", !done);
  for (const [id, shown, label, which] of [["before", true, "Near-infrared", "before"], ["after", done, right, after]]) {
    const image = $(id);
    image.hidden = !shown;
    image.alt = `${label}: ${item.state.name}`;
    const address = preview(item, which);
    if (shown && image.getAttribute("src") !== address) image.src = address;
  }
  $("cut").hidden = !done;
  $("cut").setAttribute("aria-label", `${item.state.name}: share of the width that shows near-infrared`);
}

function describe(state) {
  const known = state.wavelengths_nm.filter((nm) => nm !== null);
  const parts = [
    `${state.width} × ${state.height} px`,
    `${state.bands} band${state.bands === 1 ? "" : "s"}${known.length ? ` (${known.map(Math.round).join(", ")} nm)` : ""}`,
    `${state.dtype} ${state.format}`,
    state.crs,
    state.state === "done" && `${state.model}: ${state.summary}`,
  ];
  return parts.filter(Boolean).join(" · ");
}

// events

makeComparison($("compare"));
for (const button of document.querySelectorAll(".choose")) button.addEventListener("click", () => $("files").click());
$("files").addEventListener("change", () => {
  addFiles($("files").files);
  $("files").value = "";
});
$("example").addEventListener("click", async () => {
  const content = await (await fetch("/example.jpg")).blob();
  addFiles([new File([content], "landscape.jpg", { type: "image/jpeg" })]);
});
$("clear").addEventListener("click", () => [...items].forEach(remove));
$("cancel").addEventListener("click", async () => {
  const item = chosen;
  if (item.phase === "uploading") return remove(item);
  item.state = await call("DELETE", `/api/images/${item.state.id}/run`);
  render(item);
});
$("options").addEventListener("input", () => {
  chosen.options = values($("options"));
  changed($("options"), chosen, server.models);
});
$("views").addEventListener("change", (event) => {
  view = event.target.value;
  render(chosen);
});
$("options").addEventListener("submit", (event) => {
  event.preventDefault();
  run(chosen);
});
$("runall").addEventListener("click", () => {
  const options = values($("options"));
  for (const item of items.filter((one) => one.phase === "stored" && !isBusy(one))) {
    item.options = { ...options };
    run(item);
  }
});
$("fix").addEventListener("click", () => {
  const suggestion = suggested(chosen.state, problem(chosen));
  if (suggestion.options) {
    chosen.options = { ...chosen.options, ...suggestion.options };
    fill($("options"), chosen, server.models);
    run(chosen);
    return;
  }
  $("more").open = true;
  $("options").elements[suggestion.field].focus();
});

let depth = 0;
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => {
  if (hasFiles(event) && ++depth) document.body.classList.add("dragging");
});
addEventListener("dragleave", (event) => {
  if (hasFiles(event) && --depth <= 0) document.body.classList.remove("dragging");
});
addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
addEventListener("drop", async (event) => {
  event.preventDefault();
  depth = 0;
  document.body.classList.remove("dragging");
  if (hasFiles(event)) addFiles(await dropped(event.dataTransfer));
});

// start

$("limits").textContent = `PNG, JPEG, TIFF, GeoTIFF, ENVI (header and data together), JPEG 2000, WebP, NumPy, camera raw; up to `
  + `${(server.max_upload_bytes / 1e6).toLocaleString("en")} MB and ${(server.max_pixels / 1e6).toLocaleString("en")} megapixels`;
const minutes = Math.round(server.keep_seconds / 60);
$("kept").textContent = `Images are deleted from the server after ${minutes || 1} minute${minutes > 1 ? "s" : ""}`;
const kept = JSON.parse(sessionStorage.getItem(MEMORY) ?? "[]");
if (kept.length) {
  const states = await call("GET", `/api/images?${new URLSearchParams(kept.map((id) => ["id", id]))}`);
  for (const state of states) makeItem(state.name, null, state);
  items.forEach(render);
  if (items.length) choose(items[0]);
  poll();
}
document.body.dataset.ready = "true";
