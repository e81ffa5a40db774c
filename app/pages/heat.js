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
  document.getElementById("learn-found").textContent = document.getElementById(found ? "found-some" : "found-none").textContent.replace("{found}", found);
}

// An address with an anchor opens the entry it leads to.
const unfold = () => {
  const folded = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)))?.querySelector("details");
  if (folded) folded.open = true;
  return folded;
};
window.addEventListener("hashchange", unfold);

let headline = "";
let unfolded = "";
const usual = document.title;
new MutationObserver(() => {
  if (location.hash !== unfolded && unfold()) unfolded = location.hash;
  const verdict = document.getElementById("verdict")?.textContent.trim() ?? "";
  if (verdict === headline) return;
  headline = verdict;
  document.title = verdict ? `${verdict} – SkinDiseaseNet` : usual;
}).observe(document, { childList: true, subtree: true });
document.addEventListener("DOMContentLoaded", unfold);
