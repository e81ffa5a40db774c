(() => {
  // Gradio runs this before it draws the page. If the connection to its queue breaks while an answer is awaited, or the queue
  // refuses, scripts/picker.js is told, which shows why; Gradio itself would hide it, or use words for developers.
  const troubles = { 408: "unreachable", 413: "too-large", 503: "busy" };
  const plainFetch = window.fetch;
  window.fetch = async (...request) => {
    const address = String(request[0]?.url ?? request[0]);
    const asked = address.match(/\/gradio_api\/queue\/(join|data)(\?|$)/)?.[1];
    if (!asked) return plainFetch(...request);
    const say = (detail) => document.dispatchEvent(new CustomEvent("sdn:failed", { detail }));
    const lost = (error) => {
      if (error.name !== "AbortError") say("unreachable"); // otherwise Gradio cancelled it
    };
    try {
      const response = await plainFetch(...request);
      if (!response.ok) say(troubles[response.status] ?? "broken");
      else if (asked === "data") response.clone().body?.pipeTo(new WritableStream()).catch(lost);
      return response;
    } catch (error) {
      lost(error);
      throw error;
    }
  };

  // Gradio sets the language of its own strings, which is the browser's; that of the page is what the server said.
  const root = document.documentElement;
  const speak = () => {
    if (root.lang !== root.dataset.language) root.lang = root.dataset.language;
  };
  speak();
  new MutationObserver(speak).observe(root, { attributeFilter: ["lang"] });

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
    if (sought) toAnchor();
  }).observe(document, { childList: true, subtree: true });
})();
