// The camera: opened on demand, the rear one if there is one, never mirrored, closed as soon as the photo is taken.

import { find, say, word } from "./page.js";

const BLOCKED = ["NotAllowedError", "NotFoundError", "NotReadableError", "OverconstrainedError"];

export async function openCamera() {
  say("");
  if (!window.isSecureContext) {
    say(word("insecure"));
    find("camera-app").click(); // the phone's own camera, where there is one
    return;
  }
  if (!navigator.mediaDevices?.getUserMedia) {
    say(word("NotFoundError"));
    return;
  }
  const video = find("video");
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 960 } },
      audio: false,
    });
    await video.play();
  } catch (error) {
    closeCamera();
    say(BLOCKED.includes(error.name) ? word(error.name) : word("camera-failed", { error: error.name }));
    return;
  }
  // Stopping a track fires no event; a track that ends by itself was unplugged or taken by another program.
  video.srcObject.getVideoTracks()[0].addEventListener("ended", () => {
    closeCamera();
    say(word("camera-stopped"));
  });
  find("camera").hidden = false;
  find("choose").hidden = true;
  find("preview").hidden = true;
  find("camera-take").focus();
}

// Returns a JPEG blob of what the camera sees.
export function takePhoto() {
  const video = find("video");
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  closeCamera();
  return new Promise((taken) => canvas.toBlob(taken, "image/jpeg", 0.92));
}

export function closeCamera() {
  const video = find("video");
  if (!video) return;
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
  find("camera").hidden = true;
  find("choose").hidden = false;
  find("preview").hidden = !find("preview").querySelector("img").src;
}
