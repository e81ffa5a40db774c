// Sends a picture as soon as it is chosen, dropped, pasted or photographed. Without this script the form still works.

import { ask, show } from "./ask.js";
import { setUpCamera } from "./camera.js";

const find = (id) => document.getElementById(id);
const form = find("picker");
const input = find("image");
const preview = find("preview");

document.documentElement.classList.add("js");

// --- Sending ---------------------------------------------------------------------------------------------------

function send(files) {
  if (files.length === 0) return;
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  if (input.multiple && (files.length > form.dataset.maxFiles || bytes > form.dataset.maxBytes)) {
    show("too-many");
    find("verdict").focus();
    return;
  }
  const body = new FormData();
  for (const file of files) body.append("image", file, "image");
  if (!input.multiple) showPicture(URL.createObjectURL(files[0]));
  ask(body, files.length > 1 ? `Analysing ${files.length} photos …` : "Analysing your photo …");
}

function showPicture(address) {
  const image = preview.querySelector("img");
  URL.revokeObjectURL(image.src);
  image.src = address;
  preview.hidden = false;
}

input.addEventListener("change", () => {
  send([...input.files]);
  input.value = "";
});

document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) event.preventDefault();
  send(files);
});

document.addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  form.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) form.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  form.classList.remove("over");
  send([...event.dataTransfer.files]);
});

// --- The page for a single photo -------------------------------------------------------------------------------

if (!input.multiple) {
  // The server decides about pictures that the browser cannot show.
  preview.querySelector("img").addEventListener("error", (event) => {
    preview.hidden = true;
    event.target.removeAttribute("src");
  });

  find("examples")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const body = new FormData(event.target, event.submitter);
    showPicture(event.submitter.querySelector("img").src);
    ask(body, "Analysing the example …");
    window.scrollTo({ top: 0 });
  });

  setUpCamera((photo) => send([photo]));
}

// A file may have been chosen before this script ran.
if (input.files.length) input.dispatchEvent(new Event("change"));
