import { likelihood, percent } from "./sentences.js";
const get = (id) => document.getElementById(id);
const answer = get("answer");
const status = get("status");
const progress = get("progress");
const input = get("image");
const listed = Number(document.body.dataset.listed);
let words;
let ready = false;
let waiting = null;
let picture = "";
document.documentElement.classList.add("js");
document.querySelector(".picker").classList.add("js");
const engine = new Worker(new URL("engine.js", import.meta.url), { type: "module" });
engine.onerror = () => fail("The scripts of this page could not start.");
engine.onmessage = ({ data }) => {
  if (data.kind === "progress") {
    progress.max = data.of;
    progress.value = data.done;
    get("loaded").textContent = `${Math.round(data.done / 1e6)} / ${Math.round(data.of / 1e6)} MB`;
  } else if (data.kind === "ready") {
    ready = true;
    get("loading").hidden = true;
    get("ready").hidden = false;
    get("engine").textContent = data.engine;
    get("offline").hidden = !(data.offline && "serviceWorker" in navigator);
    document.body.dataset.state = "ready";
    if (waiting) ask(waiting);
  } else if (data.kind === "answer") show(data.answer);
  else if (data.kind === "refused") put(copy(`refused-${data.why}`));
  else fail(data.message);
};
if ("serviceWorker" in navigator) navigator.serviceWorker.register(new URL("offline.js", import.meta.url)).catch(console.warn);
fetch("model.json").then((response) => response.json()).then((model) => {
  words = model.words;
  engine.postMessage({ kind: "load" });
}).catch((error) => fail(String(error)));
input.addEventListener("change", () => {
  if (input.files?.length) choose(input.files[0]);
  input.value = "";
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer?.files.length) choose(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) choose(event.clipboardData.files[0]);
});
function choose(file) {
  URL.revokeObjectURL(picture);
  picture = URL.createObjectURL(file);
  get("preview").querySelector("img").src = picture;
  get("preview").hidden = false;
  answer.replaceChildren();
  if (ready) ask(file);
  else {
    waiting = file;
    status.textContent = status.dataset.waiting;
  }
}
function ask(file) {
  waiting = null;
  status.textContent = status.dataset.working;
  engine.postMessage({ kind: "ask", file });
}
function copy(id) {
  return get(id).content.cloneNode(true);
}
function put(part) {
  status.textContent = "";
  answer.replaceChildren(part);
  const heading = answer.querySelector("#verdict");
  heading.focus({ preventScroll: true });
  heading.scrollIntoView({ block: "nearest" });
}
function fail(message) {
  get("loading").hidden = true;
  input.disabled = true;
  const part = copy("broken");
  part.querySelector("[data-fill=message]").textContent = message;
  put(part);
}
function show({ decision, told, seconds }) {
  const rejected = decision.verdict === "rejected";
  const doctor = !rejected && (told.urgency === "soon" || told.urgency === "urgent");
  const part = copy("card");
  const all = (selector) => [...part.querySelectorAll(selector)];
  const texts = {
    ...{ tag: told.tag, headline: told.headline, reason: told.reason, how_soon: told.how_soon, caution: told.caution },
    ...{ text: told.text, set: told.set, modality: told.modality, seconds: seconds.toFixed(1) }
  };
  const applies = {
    ...{ rejected, accepted: !rejected, set: told.set !== null, modality: told.modality !== null },
    ...{ quality: told.quality.length > 0, points: told.points.length > 0 }
  };
  for (const each of all("[data-if]")) if (!applies[each.dataset.if]) each.remove();
  for (const each of all("[data-fill]")) {
    const text = texts[each.dataset.fill];
    if (text) each.textContent = text;
    else each.remove();
  }
  part.querySelector(".when").className = doctor ? "see-doctor" : "when";
  part.querySelector(".small-picture").src = picture;
  const section = part.querySelector(".verdict");
  section.classList.add(decision.verdict);
  section.dataset.verdict = decision.verdict;
  for (const list of all("[data-list=quality]")) list.append(...told.quality.map((sentence) => element("li", sentence)));
  for (const list of all("[data-list=points]")) list.append(...told.points.map((point) => element("li", point)));
  for (const list of all("[data-list=set]"))
    for (const name of decision.prediction_set ?? []) list.append(element("dt", words.labels[name].title), element("dd", words.labels[name].summary));
  for (const list of all("[data-list=criteria]"))
    list.append(
      ...told.criteria.map(({ fired, sentence }) => {
        const item = element("li");
        item.className = fired ? "fired" : "passed";
        item.append(element("b", list.dataset[item.className]), ` ${sentence}`);
        return item;
      })
    );
  for (const list of all("[data-list=ranking]")) {
    const shown = list.dataset.part === "first" ? decision.conditions.slice(0, listed) : decision.conditions.slice(list.dataset.part === "rest" ? listed : 0);
    list.append(...shown.map(({ name, probability }) => ranked(name, probability)));
    if (!shown.length) list.closest("details")?.remove();
  }
  for (const slot of all("[data-about]")) {
    slot.append(copy(`about-${decision.conditions[0].name}`));
    const text = slot.querySelector("[data-fill=text]");
    text.textContent = told.text;
  }
  put(part);
}
function ranked(name, probability) {
  const item = element("li");
  const [title, share] = [element("span", words.labels[name].title), element("span", percent(probability, words))];
  title.className = "name";
  share.className = "share";
  const word = element("span", likelihood(probability, words));
  word.className = "likelihood";
  share.prepend(word, " ");
  const bar = copy("bar");
  bar.querySelector(".fill").setAttribute("width", `${(100 * probability).toFixed(1)}%`);
  item.append(title, " ", share, bar);
  return item;
}
function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
