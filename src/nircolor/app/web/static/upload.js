// Files to images: which files belong together, and sending them.

const last = (name) => name.slice(name.lastIndexOf("/") + 1);
const extension = (name) => (/\.[^.]*$/.exec(name) ?? [""])[0].toLowerCase();
const REFERENCE = /^(WHITEDARKREF|DARKREF|WHITEREF)_/i;

/** Group files into images: an ENVI header with its data and references, an image with the files beside it. */
export function group(files, extensions) {
  const images = files.filter((file) => extensions.includes(extension(file.name)) && !REFERENCE.test(file.name));
  const groups = images.map((image) => [image]);
  for (const file of files) {
    if (images.includes(file)) continue;
    const name = file.name.replace(REFERENCE, "").toLowerCase();
    const owner = images.findIndex((image) => {
      const stem = image.name.slice(0, -extension(image.name).length).toLowerCase();
      return name === stem || name.startsWith(`${stem}.`) || name.startsWith(`${stem}_rpc`);
    });
    if (owner >= 0) groups[owner].push(file);
    else groups.push([file]);
  }
  return groups;
}

/** Send the files of an image; resolves to its state, rejects with an Error whose message is for the user. */
export function send(files, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    for (const file of files) form.append("file", file, last(file.name));
    request.open("POST", "/api/images");
    request.responseType = "json";
    request.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0);
    request.onload = () => {
      if (request.status === 401) location.reload();
      else if (request.status === 201) resolve(request.response);
      else reject(new Error(request.response?.detail ?? `the server answered with status ${request.status}`));
    };
    request.onerror = () => reject(new Error("the server cannot be reached, or refused the upload"));
    request.onabort = () => reject(new DOMException("removed", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** All files of a drop, those in folders too. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const files = [];
  const visit = async (entry) => {
    if (entry.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    else {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) break;
        for (const one of some) await visit(one);
      }
    }
  };
  for (const entry of entries) await visit(entry);
  return files.filter((file) => !file.name.startsWith("."));
}
