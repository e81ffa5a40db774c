// What the other scripts share: elements by their id, and sentences, which all come from the page.

export const find = (id) => document.getElementById(id);

// A sentence of the page, with the {values} filled in.
export function word(name, values = {}) {
  const text = find("words").content.querySelector(`[data-word="${name}"]`).textContent;
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

export function say(text) {
  find("status").textContent = text;
}
