const CACHE = "skindiseasenet-private";
const scope = self;
scope.addEventListener("install", () => scope.skipWaiting());
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));
scope.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(scope.registration.scope)) return;
  event.respondWith(fetch(request).catch(async (error) => await (await caches.open(CACHE)).match(request) ?? Promise.reject(error)));
});
