// The service worker: the network first, and without a connection what engine.ts kept.

const CACHE = "skindiseasenet-private";
const scope = self as any;

scope.addEventListener("install", () => scope.skipWaiting());
scope.addEventListener("activate", (event: any) => event.waitUntil(scope.clients.claim()));
scope.addEventListener("fetch", (event: any) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(scope.registration.scope)) return;
  event.respondWith(fetch(request).catch(async (error) => (await (await caches.open(CACHE)).match(request)) ?? Promise.reject(error)));
});
