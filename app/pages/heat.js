// For the parts of every page, on both front ends: the heat map's switch and slider, the search on the Learn page, and the title
// of a page that shows an answer.
document.addEventListener("input", ({ target }) => {
  if (target.id.startsWith("heat-")) fade();
  if (target.id === "learn-search") search(target.value);
});

function fade() {
  const strength = document.getElementById("heat-strength");
  strength.disabled = !document.getElementById("heat-on").checked;
  document.getElementById("heat").style.opacity = strength.disabled ? 0 : strength.value / strength.max;
  document.getElementById("heat-percent").value = `${strength.disabled ? 0 : strength.value}%`;
}

function search(words) {
  const plain = (text) => text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
  const sought = plain(words).split(/\s+/);
  let found = 0;
  for (const entry of document.querySelectorAll(".entry")) {
    const text = plain(entry.textContent);
    entry.hidden = !sought.every((word) => text.includes(word));
    document.querySelector(`.contents [href$="#${entry.id}"]`).parentElement.hidden = entry.hidden;
    found += !entry.hidden;
  }
  const said = document.getElementById("learn-found");
  said.textContent = (found ? said.dataset.some : said.dataset.none).replace("{found}", found);
}

// An address with an anchor opens the entry it leads to.
const unfold = () => {
  const folded = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)))?.querySelector("details");
  if (folded) folded.open = true;
  return folded;
};
window.addEventListener("hashchange", unfold);

// The title is the answer's headline or, until there is one, the page's; the skip link leads to the main part.
let unfolded = "";
new MutationObserver(() => {
  if (location.hash !== unfolded && unfold()) unfolded = location.hash;
  const main = document.querySelector("main");
  if (main && !main.id) [main.id, main.tabIndex] = ["main", -1];
  const words = (document.getElementById("verdict") ?? document.querySelector("h1"))?.textContent.trim();
  const title = words ? `${words} – SkinDiseaseNet` : document.title;
  if (document.title !== title) document.title = title;
}).observe(document, { childList: true, subtree: true });
document.addEventListener("DOMContentLoaded", unfold);
