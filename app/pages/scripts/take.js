// Takes an answer along: as a PDF, which the server writes, as text on the clipboard, or on paper.

import { word } from "./page.js";

document.addEventListener("click", async ({ target }) => {
  const kind = target.closest("[data-take]")?.dataset.take;
  const part = target.closest(".take");
  if (!kind || !part) return;
  const note = part.querySelector(".take-status");
  const wanted = part.querySelector(".with-picture").checked;
  note.textContent = "";
  if (kind === "print") return print(part, wanted);
  try {
    note.textContent = kind === "copy" ? await copy(part, wanted) : await savePdf(part, wanted);
  } catch {
    note.textContent = word(`${kind}-failed`);
  }
});

function print(part, wanted) {
  part.closest(".desk, .several").classList.toggle("without-picture", !wanted);
  window.print();
}

// The pictures of an answer as data URIs: the photo, and the heat map over it, as strong as it is shown; only those there are.
function pictures(part) {
  const photo = part.querySelector(".taken") ?? part.parentElement.querySelector(".overlay img");
  const heat = part.parentElement.querySelector("#heat");
  if (!photo) return {};
  if (!heat) return { picture: photo.src };
  const canvas = document.createElement("canvas");
  canvas.width = heat.naturalWidth;
  canvas.height = heat.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(photo, 0, 0, canvas.width, canvas.height);
  context.globalAlpha = Number(getComputedStyle(heat).opacity);
  context.drawImage(heat, 0, 0);
  return { picture: photo.src, heatmap: canvas.toDataURL("image/jpeg", 0.9) };
}

async function copy(part, wanted) {
  const text = part.dataset.text;
  if (window.ClipboardItem && navigator.clipboard?.write) {
    const rich = document.createElement("div");
    rich.append(Object.assign(document.createElement("pre"), { textContent: text }));
    for (const src of Object.values(wanted ? pictures(part) : {})) rich.append(Object.assign(document.createElement("img"), { src }));
    await navigator.clipboard.write([
      new ClipboardItem({
        "text/plain": new Blob([text], { type: "text/plain" }),
        "text/html": new Blob([rich.innerHTML], { type: "text/html" }),
      }),
    ]);
  } else {
    // Without HTTPS a browser copies only what is selected.
    const box = Object.assign(document.createElement("textarea"), { value: text });
    part.append(box);
    box.select();
    const copied = document.execCommand("copy");
    box.remove();
    if (!copied) throw new Error("not copied");
  }
  return word("copied");
}

async function savePdf(part, wanted) {
  const body = new FormData();
  body.append("prediction", part.dataset.prediction);
  body.append("when", part.dataset.when);
  body.append("photos", part.dataset.photos);
  if (wanted) {
    for (const [name, address] of Object.entries(pictures(part))) body.append(name, asBlob(address), name);
  }
  const response = await fetch(part.dataset.report, { method: "POST", body });
  if (!response.ok || response.headers.get("Content-Type") !== "application/pdf") throw new Error("no report");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = "skindiseasenet.pdf";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return word("saved");
}

// Content policies forbid fetching a data URI.
function asBlob(address) {
  const [head, data] = address.slice("data:".length).split(",");
  return new Blob([Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0))], { type: head.split(";")[0] });
}
