(() => {
  // Gradio runs this before it draws the page. It shows messages for errors that Gradio hides, or words for developers. If the
  // connection breaks while a result is pending, Gradio reloads the page once it is back: the message is kept until then.
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

  // A camera that is denied or missing: Gradio swallows the error.
  const cameraErrors = ["NotAllowedError", "NotFoundError", "NotReadableError", "OverconstrainedError"];
  window.addEventListener("unhandledrejection", (event) => {
    if (cameraErrors.includes(event.reason?.name)) say("camera");
  });

  // An upload that failed.
  const troubles = { 408: "unreachable", 413: "too-large", 503: "busy" };
  const plainFetch = window.fetch;
  window.fetch = async (...request) => {
    const address = String(request[0]?.url ?? request[0]);
    const asked = address.match(/\/gradio_api\/(upload|queue\/join|queue\/data)(\?|$)/)?.[1];
    if (!asked) return plainFetch(...request);
    const lost = (error) => {
      if (error.name === "AbortError") return; // Gradio cancelled it
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

  // The browser looked for the anchor before the page was drawn.
  let sought = location.hash;
  const toAnchor = () => {
    const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!place) return;
    sought = "";
    if (!place.getClientRects().length) return void requestAnimationFrame(toAnchor); // drawn but not yet visible
    place.scrollIntoView();
    place.focus({ preventScroll: true });
  };
  window.addEventListener("hashchange", toAnchor);

  new MutationObserver(() => {
    show();
    if (sought) toAnchor();
  }).observe(document, { childList: true, subtree: true });
})();
