// Sends a picture without leaving the page, and opens the camera. What an answer looks like stands in the
// server's templates alone; without this script the form works as a plain one.

const find = (id) => document.getElementById(id);
const form = find("picker");
const input = find("image");
const answer = find("answer");
const preview = find("preview");
const status = find("status");
const camera = find("camera");
const choose = find("choose");
const video = find("video");
const opener = find("camera-open");

document.documentElement.classList.add("js");

// --- Sending ---------------------------------------------------------------------------------------------------

let running = null;

async function send(files) {
  if (files.length === 0) return;
  running?.abort();
  const mine = (running = new AbortController());
  showPicture(files[0]);
  answer.replaceChildren();
  form.setAttribute("aria-busy", "true");
  status.textContent = "Looking at the picture …";
  const body = new FormData();
  for (const file of files) body.append("image", file, "image");
  try {
    const response = await fetch(`${form.action}?fragment=1`, { method: "POST", body, signal: mine.signal });
    if (!response.headers.has("X-Fragment")) throw new Error(`not an answer: ${response.status}`);
    answer.innerHTML = await response.text();
  } catch (error) {
    if (mine.signal.aborted) return;
    answer.replaceChildren(find("unreachable").content.cloneNode(true));
  }
  form.removeAttribute("aria-busy");
  status.textContent = "";
  input.value = "";
  find("verdict").focus();
}

function showPicture(file) {
  const image = preview.querySelector("img");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  preview.hidden = false;
}

// What the browser cannot show is left to the server to judge.
preview.querySelector("img").addEventListener("error", () => (preview.hidden = true));

input.addEventListener("change", () => send(input.files));

document.addEventListener("paste", (event) => {
  const files = event.clipboardData?.files ?? [];
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
  send(event.dataTransfer.files);
});

// --- Heat map --------------------------------------------------------------------------------------------------

answer.addEventListener("input", () => {
  const heat = find("heat");
  if (!heat) return;
  const strength = find("heat-strength");
  strength.disabled = !find("heat-on").checked;
  heat.style.opacity = strength.disabled ? 0 : strength.value / 100;
});

// --- Camera ----------------------------------------------------------------------------------------------------

const CAMERA_WORDS = {
  NotAllowedError: "The camera was not allowed. Allow it in the browser's settings for this page, or choose a photo instead.",
  NotFoundError: "No camera was found. Please choose a photo instead.",
  NotReadableError: "The camera is in use by another program. Close that, or choose a photo instead.",
};
const INSECURE = "This browser gives a page the camera only over HTTPS or on this very machine. Please choose a photo instead.";

opener.addEventListener("click", async () => {
  status.textContent = "";
  if (!navigator.mediaDevices?.getUserMedia) {
    status.textContent = window.isSecureContext ? CAMERA_WORDS.NotFoundError : INSECURE;
    return;
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 960 } },
      audio: false,
    });
    await video.play();
  } catch (error) {
    closeCamera();
    status.textContent = CAMERA_WORDS[error.name] ?? `The camera did not start (${error.name}). Please choose a photo instead.`;
    return;
  }
  camera.hidden = false;
  choose.hidden = preview.hidden = true;
  find("camera-take").focus();
});

find("camera-take").addEventListener("click", () => {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  closeCamera();
  canvas.toBlob((blob) => send([blob]), "image/jpeg", 0.92);
});

find("camera-close").addEventListener("click", () => {
  closeCamera();
  preview.hidden = !preview.querySelector("img").src;
  opener.focus();
});

function closeCamera() {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
  camera.hidden = true;
  choose.hidden = false;
}

window.addEventListener("pagehide", closeCamera);
