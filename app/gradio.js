() => {
  // Gradio runs this once a page. What Gradio itself does not say, or says in words for developers, is said here.
  const say = (id) => {
    for (const word of document.querySelectorAll(".sdn-trouble")) word.hidden = word.id !== id;
    document.getElementById(id)?.scrollIntoView({ block: "nearest" });
  };

  // A camera that is denied or missing: Gradio's request for it fails unheard.
  const cameraErrors = ["NotAllowedError", "NotFoundError", "NotReadableError", "OverconstrainedError"];
  window.addEventListener("unhandledrejection", (event) => {
    if (cameraErrors.includes(event.reason?.name)) say("sdn-camera");
  });

  // A picture that did not get through.
  const plainFetch = window.fetch;
  window.fetch = async (...request) => {
    const address = String(request[0]?.url ?? request[0]);
    if (!/\/gradio_api\/(upload|queue\/join)(\?|$)/.test(address)) return plainFetch(...request);
    try {
      const response = await plainFetch(...request);
      if (response.ok) say(null);
      else if (response.status === 413) say("sdn-too-large");
      else if (response.status === 401) say("sdn-signed-out");
      else if (response.status === 503) say("sdn-busy");
      else say("sdn-broken");
      return response;
    } catch (error) {
      say("sdn-unreachable");
      // After this one Gradio loads the page anew, as soon as the server can be reached.
      if (address.includes("/queue/join")) sessionStorage.setItem("sdn-trouble", "sdn-unreachable");
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
    const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (location.hash && place) {
      place.scrollIntoView();
      place.focus({ preventScroll: true });
    }
  };
  window.addEventListener("hashchange", toAnchor);
  setTimeout(() => {
    toAnchor();
    const trouble = sessionStorage.getItem("sdn-trouble");
    sessionStorage.removeItem("sdn-trouble");
    if (trouble) say(trouble);
  }, 300);
}
