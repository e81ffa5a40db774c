// Sends photos as soon as they are chosen, dropped, pasted or photographed, and shows the answer; for both front ends.
// Listens on the document, since Gradio may draw its parts late or again.

import { forgetAnswer, restoreAnswer, showAnswer, showTrouble } from "./answer.js";
import { closeCamera, openCamera, takePhoto } from "./camera.js";
import { find, say, word } from "./page.js";
import { relay } from "./relay.js";
import { post } from "./send.js";
import { shrunk } from "./shrink.js";
import "./take.js";

const TROUBLE = { 401: "signed-out", 408: "unreachable", 413: "too-large", 429: "busy", 503: "busy" }; // by HTTP status

let running = null;
let again = null;

// --- Asking ----------------------------------------------------------------------------------------------------

function checkAndAsk(files) {
  if (files.length === 0) return;
  const form = find("picker");
  if (files.length > form.dataset.maxFiles) refuse("too-many");
  else ask({ files, oneSpot: Boolean(find("one-spot")?.checked) });
}

function refuse(trouble) {
  showTrouble(trouble);
  find("verdict").focus();
}

// Gets the answer to `files` or to the example number `example`; an earlier request is cancelled.
async function ask(asked) {
  running?.abort();
  const mine = (running = new AbortController());
  const form = find("picker");
  again = () => ask(asked);
  forgetAnswer();
  find("answer").replaceChildren();
  form.setAttribute("aria-busy", "true");
  find("sending").hidden = false;
  find("progress").removeAttribute("value");
  try {
    const answer = await answered(form, asked, mine.signal);
    if (running !== mine) return;
    if (answer.html === undefined) showTroubleOf(answer);
    else showAnswer(answer.html, { names: (asked.files ?? []).map((file) => file.name ?? ""), picture: await smallPicture(find("preview")) });
  } catch (error) {
    if (running !== mine) return;
    showTrouble(typeof error === "string" ? error : "unreachable", { kept: form.dataset.relayed !== undefined });
  }
  rest();
  find("verdict")?.focus();
}

function rest() {
  running = null;
  find("picker").removeAttribute("aria-busy");
  find("sending").hidden = true;
  say("");
}

// Either { html } or what is known of a response without one: { trouble, seconds }.
async function answered(form, asked, signal) {
  if (asked.example === undefined) return answeredPhotos(form, asked, signal);
  say(word("example"));
  if (form.dataset.relayed !== undefined) return { html: await relay(form, { example: asked.example }, signal) };
  const body = new FormData();
  body.append("example", asked.example);
  return fragment(await post(`${form.action}?fragment=1`, body, { onProgress() {}, signal }));
}

async function answeredPhotos(form, { files, oneSpot }, signal) {
  const relayed = form.dataset.relayed !== undefined;
  const body = new FormData();
  say(word("preparing"));
  let bytes = 0;
  for (const file of files) {
    const sent = await shrunk(file);
    if (signal.aborted) throw new Error("cancelled");
    if (find("preview")) showPicture(URL.createObjectURL(sent));
    body.append(relayed ? "files" : "image", sent, "image");
    bytes += sent.size;
  }
  if (bytes > form.dataset.maxBytes) throw "too-large";
  const onProgress = (share) => {
    if (signal.aborted) return;
    say(share < 1 ? word("sending", { percent: Math.floor(100 * share) }) : analysing(files.length));
    if (share < 1) find("progress").value = share;
    else find("progress").removeAttribute("value");
  };
  if (!relayed) {
    if (oneSpot) body.append("one_spot", "1");
    return fragment(await post(`${form.action}?fragment=1`, body, { onProgress, signal }));
  }
  const response = await post(form.action, body, { onProgress, signal });
  if (response.status !== 200) return troubleOf(response, form.action);
  return { html: await relay(form, { paths: JSON.parse(response.responseText), oneSpot }, signal) };
}

const analysing = (count) => (count > 1 ? word("analysing-several", { count }) : word("analysing"));

function fragment(response) {
  const ours = response.getResponseHeader("X-Fragment") && ![401, 408].includes(response.status);
  return ours ? { html: response.responseText } : troubleOf(response, find("picker").action);
}

// Not an answer of this app but, say, the sign-in page, or a proxy's error page.
function troubleOf(response, address) {
  const [arrived, asked] = [response.responseURL || address, address].map((url) => url.split("?")[0]);
  return {
    trouble: arrived !== asked ? "signed-out" : (TROUBLE[response.status] ?? "broken"),
    seconds: Number(response.getResponseHeader("Retry-After")),
  };
}

function showTroubleOf({ trouble, seconds }) {
  showTrouble(trouble);
  if (trouble !== "busy" || !(seconds > 0)) return;
  const advice = find("answer").querySelector("p:not(.tag)");
  const moment = word("moment");
  advice.textContent = advice.textContent.replace(moment, seconds === 1 ? word("second") : word("seconds", { seconds }));
}

// --- The preview -----------------------------------------------------------------------------------------------

function showPicture(address) {
  const image = find("preview").querySelector("img");
  URL.revokeObjectURL(image.src);
  image.src = address;
  find("preview").hidden = false;
}

// The picture of the preview as a small data URI, to be kept; empty where the browser cannot show it.
async function smallPicture(preview) {
  const image = preview?.querySelector("img");
  if (!image?.src) return "";
  try {
    await image.decode();
  } catch {
    return "";
  }
  const scale = Math.min(1, 640 / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth * scale;
  canvas.height = image.naturalHeight * scale;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.85);
}

// --- What people do --------------------------------------------------------------------------------------------

document.addEventListener("change", ({ target }) => {
  if (target.id !== "image" && target.id !== "camera-app") return;
  checkAndAsk([...target.files]);
  target.value = "";
});

document.addEventListener("paste", (event) => {
  const files = find("picker") ? [...(event.clipboardData?.files ?? [])] : [];
  if (files.length) event.preventDefault();
  checkAndAsk(files);
});

const holdsFiles = (event) => find("picker") && event.dataTransfer.types.includes("Files");

document.addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  find("picker").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) find("picker")?.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  find("picker").classList.remove("over");
  checkAndAsk([...event.dataTransfer.files]);
});

document.addEventListener("submit", (event) => {
  if (event.target.id === "picker") event.preventDefault();
  if (event.target.id !== "examples") return;
  event.preventDefault();
  closeCamera();
  showPicture(event.submitter.querySelector("img").src);
  ask({ example: Number(event.submitter.value) });
  window.scrollTo({ top: 0 });
});

document.addEventListener("click", async ({ target }) => {
  if (target.closest("[data-retry]")) again?.();
  if (target.id === "camera-open") openCamera();
  if (target.id === "camera-take") checkAndAsk([await takePhoto()]);
  if (target.id === "camera-close") {
    closeCamera();
    find("camera-open").focus();
  }
  if (target.id === "cancel" && running) {
    running.abort();
    rest();
    say(word("cancelled"));
    find("image").focus();
  }
});

// The server decides about pictures that the browser cannot show; errors do not bubble.
document.addEventListener("error", ({ target }) => {
  if (!target.closest?.("#preview")) return;
  find("preview").hidden = true;
  target.removeAttribute("src");
}, true);

window.addEventListener("pagehide", closeCamera);

// --- Start -----------------------------------------------------------------------------------------------------

function start() {
  const form = find("picker");
  if (!form || form.classList.contains("js")) return;
  form.classList.add("js");
  document.documentElement.classList.add("js");
  const picture = restoreAnswer();
  if (picture && find("preview")) showPicture(picture);
  // A file may have been chosen before this script ran.
  if (find("image").files.length) find("image").dispatchEvent(new Event("change", { bubbles: true }));
}

document.addEventListener("sdn:ready", start);
start();
