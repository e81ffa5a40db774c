(() => {
  // Gradio runs this before it draws the page. What Gradio itself does not say, or says in words for developers, is
  // said here. Where the line breaks while an answer is awaited, Gradio loads the page anew as soon as it is back:
  // the trouble is kept until then.
  let trouble = sessionStorage.getItem("sdn-trouble");
  sessionStorage.removeItem("sdn-trouble");
  const show = () => {
    for (const word of document.querySelectorAll(".trouble")) word.hidden = word.id !== trouble;
  };
  const say = (id) => {
    trouble = id;
    show();
    document.getElementById(id)?.scrollIntoView({ block: "nearest" });
  };

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
      if (asked !== "upload") sessionStorage.setItem("sdn-trouble", trouble);
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

  // The browser looked for the place that the address names before there was one.
  let sought = location.hash;
  const toAnchor = () => {
    const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!place) return;
    sought = "";
    if (!place.getClientRects().length) return void requestAnimationFrame(toAnchor); // drawn, and not yet shown
    place.scrollIntoView();
    place.focus({ preventScroll: true });
  };
  window.addEventListener("hashchange", toAnchor);

  new MutationObserver(() => {
    show();
    if (sought) toAnchor();
  }).observe(document, { childList: true, subtree: true });
})();
