// Shows an answer, adds the names of the files, which never leave the browser, and keeps it for a reload or a step back.

import { find } from "./page.js";

const KEPT = () => `sdn:${location.pathname}`; // in this tab's storage

// `names`: of the files, in order; `picture`: of the preview.
export function showAnswer(html, { names = [], picture = "" } = {}) {
  find("answer").innerHTML = html;
  if (names.length) addNames(find("answer"), names);
  keep({ html, names, picture });
}

// Shows a template of the page in place of an answer; `kept` is for Gradio, which loads the page anew when it was out of reach.
export function showTrouble(id, { kept = false } = {}) {
  find("answer").replaceChildren(find(id).content.cloneNode(true));
  if (kept) keep({ trouble: id });
}

function keep(value) {
  try {
    sessionStorage.setItem(KEPT(), JSON.stringify(value));
  } catch {
    forgetAnswer(); // too large to keep, or storage is off
  }
}

export function forgetAnswer() {
  try {
    sessionStorage.removeItem(KEPT());
  } catch {
    // storage is off
  }
}

// After a reload or a step back: shows the answer of before and returns its picture; otherwise forgets it.
export function restoreAnswer() {
  const [entry] = performance.getEntriesByType("navigation");
  if (find("answer").childElementCount) return "";
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEPT()));
    if (kept && ["reload", "back_forward"].includes(entry?.type)) {
      if (kept.trouble) showTrouble(kept.trouble);
      else showAnswer(kept.html, kept);
      return kept.picture ?? "";
    }
  } catch {
    // storage is off
  }
  forgetAnswer();
  return "";
}

function addNames(answer, names) {
  [...answer.querySelectorAll("table.batch tbody tr")].forEach((row, number) => {
    const name = document.createElement("span");
    name.className = "small file-name";
    name.textContent = names[number] ?? "";
    row.querySelector(".thumb").append(name);
  });
  for (const link of answer.querySelectorAll(".saves a")) {
    const [kind, text] = decoded(link.getAttribute("href"));
    const named = link.download.endsWith(".csv") ? namedCsv(text, names) : namedJson(text, names);
    link.href = URL.createObjectURL(new Blob([named], { type: kind }));
  }
}

function decoded(address) {
  const [head, data] = address.slice("data:".length).split(",");
  return [head.split(";")[0], new TextDecoder().decode(Uint8Array.from(atob(data), (byte) => byte.charCodeAt(0)))];
}

// The second column. Only line ends are CR LF, see csv_text in batch.py; each line begins with its number.
function namedCsv(text, names) {
  const [head, ...lines] = text.trimEnd().split("\r\n");
  const named = lines.map((line, number) => line.replace(",", () => `,${csvCell(names[number] ?? "")},`));
  return [head.replace(",", ",file,"), ...named, ""].join("\r\n");
}

function csvCell(name) {
  const harmless = /^[=+\-@\t\r\n]/.test(name) ? `'${name}` : name;
  return `"${harmless.replaceAll('"', '""').replaceAll("\r\n", "\n")}"`;
}

function namedJson(text, names) {
  const named = JSON.parse(text).map((answer, number) => ({ file: names[number] ?? "", ...answer }));
  return `${JSON.stringify(named, null, 2)}\n`;
}
