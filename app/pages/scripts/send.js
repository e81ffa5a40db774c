// Sends a form and tells how much of it has gone; `fetch` cannot.

const PATIENCE = 120_000; // milliseconds to wait for an answer once everything is sent

// `onProgress` gets the share that was sent, 0 to 1. Returns the finished XMLHttpRequest; throws if no response came.
export function post(address, body, { onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let patience;
    request.open("POST", address);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    request.upload.addEventListener("load", () => {
      onProgress(1);
      patience = setTimeout(() => request.abort(), PATIENCE);
    });
    request.addEventListener("loadend", () => {
      clearTimeout(patience);
      if (request.status) resolve(request);
      else reject(new Error("no response"));
    });
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}
