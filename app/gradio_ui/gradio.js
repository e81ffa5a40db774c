(() => {
  // What Gradio itself does not say, or says in words for developers, is said here. The page's root element knows
  // what is wrong, and the style sheet shows the words: they are seen whenever Gradio draws them.
  const root = document.documentElement.dataset;
  const say = (trouble) => {
    if (trouble) root.sdnTrouble = trouble;
    else delete root.sdnTrouble;
    document.getElementById(`sdn-${trouble}`)?.scrollIntoView({ block: "nearest" });
  };

  // Where the line breaks while an answer is awaited, Gradio loads the page anew as soon as it is back.
  const kept = sessionStorage.getItem("sdn-trouble");
  sessionStorage.removeItem("sdn-trouble");
  if (kept) say(kept);

  // A camera that is denied or missing: Gradio's request for it fails unheard.
  const cameraErrors = ["NotAllowedError", "NotFoundError", "NotReadableError", "OverconstrainedError"];
  window.addEventListener("unhandledrejection", (event) => {
    if (cameraErrors.includes(event.reason?.name)) say("camera");
  });

  // A picture that did not get through.
  const troubles = { 408: "unreachable", 413: "too-large", 503: "busy" };
  const plainFetch = window.fetch;
  window.fetch = async (...request) => {
    const address = String(request[0]?.url ?? request[0]);
    const asked = address.match(/\/gradio_api\/(upload|queue\/join|queue\/data)(\?|$)/)?.[1];
    if (!asked) return plainFetch(...request);
    const lost = (error) => {
      if (error.name === "AbortError") return; // Gradio itself no longer waits
      say("unreachable");
      if (asked !== "upload") sessionStorage.setItem("sdn-trouble", "unreachable");
    };
    try {
      const response = await plainFetch(...request);
      say(response.ok ? null : (troubles[response.status] ?? "broken"));
      if (asked === "queue/data") response.clone().body?.pipeTo(new WritableStream()).catch(lost);
      return response;
    } catch (error) {
      lost(error);
      throw error;
    }
  };

  document.addEventListener("input", (event) => {
    const heat = event.target.closest?.(".sdn-heat");
    if (!heat) return;
    const range = heat.querySelector("input[type=range]");
    const on = heat.querySelector("input[type=checkbox]").checked;
    heat.querySelector(".sdn-layer").style.opacity = on ? range.value / 100 : 0;
    range.disabled = !on;
  });

  // The page is drawn after the browser looked for the place that its address names.
  const toAnchor = () => {
    const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!place) return false;
    place.scrollIntoView();
    place.focus({ preventScroll: true });
    return true;
  };
  window.addEventListener("hashchange", toAnchor);
  if (location.hash) {
    const drawn = new MutationObserver(() => {
      if (toAnchor()) drawn.disconnect();
    });
    drawn.observe(document, { childList: true, subtree: true });
  }
})();
