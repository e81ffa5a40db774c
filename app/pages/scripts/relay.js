// Gradio: what was uploaded is answered in an event of its own, which the page's components send and receive.

let last = 0;
let waiting = null;

// Asks for the answer to an example or to uploads. Returns HTML; throws if there is none.
export function relay(form, asked, signal) {
  return new Promise((resolve, reject) => {
    waiting = { ticket: ++last, resolve, reject };
    signal.addEventListener("abort", reject);
    form.dispatchEvent(new CustomEvent("sdn:asked", { bubbles: true, detail: { ...asked, ticket: last } }));
  });
}

document.addEventListener("sdn:answered", ({ detail }) => {
  if (detail?.ticket === waiting?.ticket) waiting?.resolve(detail.html);
});

// The reason is the id of what is to be shown.
document.addEventListener("sdn:failed", ({ detail }) => waiting?.reject(detail));
