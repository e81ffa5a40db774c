// Sends a form without leaving the page, and shows the result or what went wrong. The markup is in the server's templates only.

const PATIENCE = 120_000; // milliseconds to wait for an answer
const TROUBLE = { 401: "signed-out", 429: "busy", 503: "busy" }; // by HTTP status

const find = (id) => document.getElementById(id);
const form = find("picker");
const answer = find("answer");
const status = find("status");

let running = null;
let again = null;

// Sends `body`, a FormData, while the page shows `words`; an earlier request is cancelled.
export async function ask(body, words) {
  running?.abort();
  const mine = (running = new AbortController());
  again = () => ask(body, words);
  answer.replaceChildren();
  form.setAttribute("aria-busy", "true");
  status.textContent = words;
  const patience = setTimeout(() => mine.abort(), PATIENCE);
  try {
    const response = await fetch(`${form.action}?fragment=1`, { method: "POST", body, signal: mine.signal });
    if (response.headers.has("X-Fragment") && response.status !== 401) answer.innerHTML = await response.text();
    else if (running === mine) showTrouble(response);
  } catch {
    if (running === mine) show("unreachable");
  }
  clearTimeout(patience);
  if (running !== mine) return;
  form.removeAttribute("aria-busy");
  status.textContent = "";
  find("verdict").focus();
}

// Not an answer of this app but, say, the sign-in page, or a proxy's error page.
function showTrouble(response) {
  const trouble = response.redirected ? "signed-out" : (TROUBLE[response.status] ?? "broken");
  show(trouble);
  const seconds = Number(response.headers.get("Retry-After"));
  if (trouble !== "busy" || !(seconds > 0)) return;
  const advice = answer.querySelector("p:not(.tag)");
  advice.textContent = advice.textContent.replace("a moment", seconds === 1 ? "a second" : `${seconds} seconds`);
}

// Shows a template of the page in place of the result.
export function show(template) {
  answer.replaceChildren(find(template).content.cloneNode(true));
}

answer.addEventListener("click", (event) => {
  if (event.target.closest("[data-retry]")) again?.();
});
