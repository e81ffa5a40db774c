// The heat map's switch and slider.
document.addEventListener("input", (event) => {
  if (!event.target.id.startsWith("heat-")) return;
  const strength = document.getElementById("heat-strength");
  strength.disabled = !document.getElementById("heat-on").checked;
  document.getElementById("heat").style.opacity = strength.disabled ? 0 : strength.value / 100;
});
