// The camera: opened on demand, never mirrored, closed as soon as the photo is taken.

const find = (id) => document.getElementById(id);
const status = find("status");
const video = find("video");
const opener = find("camera-open");

const WORDS = {
  NotAllowedError: "The camera is blocked. Allow it for this page in your browser's settings, or choose a photo instead.",
  NotFoundError: "No camera was found. Please choose a photo instead.",
  NotReadableError: "The camera is in use by another program. Close that, or choose a photo instead.",
};
const INSECURE = "The browser allows the camera only over HTTPS. Please choose a photo instead.";
const STOPPED = "The camera stopped. Start it again, or choose a photo instead.";

// `taken` gets each photo, a JPEG blob.
export function setUpCamera(taken) {
  opener.addEventListener("click", open);
  find("camera-take").addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    close();
    canvas.toBlob(taken, "image/jpeg", 0.92);
  });
  find("camera-close").addEventListener("click", () => {
    close();
    opener.focus();
  });
  window.addEventListener("pagehide", close);
}

async function open() {
  status.textContent = "";
  if (!navigator.mediaDevices?.getUserMedia) {
    status.textContent = window.isSecureContext ? WORDS.NotFoundError : INSECURE;
    return;
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 960 } },
      audio: false,
    });
    await video.play();
  } catch (error) {
    close();
    status.textContent = WORDS[error.name] ?? `The camera did not start (${error.name}). Please choose a photo instead.`;
    return;
  }
  // Stopping a track fires no event; a track that ends by itself was unplugged or taken by another program.
  video.srcObject.getVideoTracks()[0].addEventListener("ended", () => {
    close();
    status.textContent = STOPPED;
  });
  find("camera").hidden = false;
  find("choose").hidden = true;
  find("preview").hidden = true;
  find("camera-take").focus();
}

function close() {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
  find("camera").hidden = true;
  find("choose").hidden = false;
  find("preview").hidden = !find("preview").querySelector("img").src;
}
