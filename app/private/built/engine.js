import { Detector, decide, pooled, readStored } from "./decision.js";
import { preprocess, quality, reduced, withoutAlpha } from "./picture.js";
import { tell } from "./sentences.js";
const CACHE = "skindiseasenet-private";
const CHECK_TOLERANCE = 0.05;
const LARGEST_CANVAS = 16e6;
let model;
let network;
let detector = null;
let gate = null;
const say = (said) => postMessage(said);
onmessage = async ({ data }) => {
  try {
    await (data.kind === "load" ? load() : ask(data.file));
  } catch (error) {
    say({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  }
};
async function load() {
  model = await (await fetch("model.json")).json();
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  let engine = "";
  if (adapter) {
    try {
      network = await start("webgpu");
      engine = "WebGPU";
    } catch (error) {
      console.warn("WebGPU cannot be used:", error);
    }
  }
  if (!engine) {
    network = await start("wasm");
    engine = `WebAssembly, ${threads()} ${threads() === 1 ? "thread" : "threads"}`;
  }
  say({ kind: "ready", engine, offline: await keep() });
}
const threads = () => crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
async function start(provider) {
  const runtime = provider === "wasm" ? "ort-wasm-simd-threaded" : "ort-wasm-simd-threaded.asyncify";
  const { detector: seen, gate: kind } = model.config;
  const wanted = ["model.onnx", `${runtime}.wasm`, ...[seen, kind].filter(Boolean)];
  const files = await fetchAll(wanted);
  const ort = await import(new URL(`ort.${provider}.min.mjs`, import.meta.url).href);
  ort.env.wasm.wasmBinary = files[`${runtime}.wasm`];
  ort.env.wasm.wasmPaths = { mjs: new URL(`${runtime}.mjs`, import.meta.url).href };
  ort.env.wasm.numThreads = threads();
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(new Uint8Array(files["model.onnx"]), { executionProviders: [provider] });
  if (seen) detector = new Detector(readStored(files[seen]));
  if (kind) gate = readStored(files[kind]);
  const side = model.config.input_size;
  const found = {
    async run(input) {
      const { logits: logits2, features } = await session.run({ images: new ort.Tensor("float32", input, [1, 3, side, side]) });
      return { logits: logits2.data, features: features.data, channels: features.dims[1] };
    }
  };
  const { logits } = await found.run(checkInput(3 * side * side));
  if (!model.check.every((expected, number) => Math.abs(logits[number] - expected) < CHECK_TOLERANCE))
    throw new Error("This browser computes the network wrongly.");
  return found;
}
function checkInput(length) {
  return Float32Array.from({ length }, (_, i) => i * 7919 % 256 / 128 - 1);
}
async function fetchAll(names) {
  const of = names.reduce((sum, name) => sum + model.large[name].size, 0);
  let done = 0;
  const files = {};
  for (const name of names) {
    const { url, size } = model.large[name];
    const cache = "caches" in self ? await caches.open(CACHE) : null;
    const kept = await cache?.match(url);
    const response = kept ?? await fetch(url);
    if (!response.ok || !response.body) throw new Error(`${name} could not be loaded (${response.status}).`);
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const reader = response.body.getReader(); ; ) {
      const part = await reader.read();
      if (part.done) break;
      if (at + part.value.length > size) throw new Error(`${name} is larger than expected.`);
      bytes.set(part.value, at);
      at += part.value.length;
      say({ kind: "progress", done: done + at, of });
    }
    if (at !== size) throw new Error(`${name} came incomplete.`);
    done += size;
    if (!kept) await cache?.put(url, new Response(bytes, { headers: { "Content-Type": "application/octet-stream" } })).catch(() => {
    });
    files[name] = bytes.buffer;
  }
  return files;
}
async function keep() {
  if (!("caches" in self)) return false;
  try {
    const cache = await caches.open(CACHE);
    await cache.addAll(model.small);
    const current = new Set([...model.small, ...Object.values(model.large).map(({ url }) => url)].map((url) => new URL(url, location.href).href));
    for (const { url } of await cache.keys()) if (!current.has(url)) await cache.delete(url);
    return await cache.match(model.large["model.onnx"].url) !== void 0;
  } catch {
    return false;
  }
}
async function ask(file) {
  const started = performance.now();
  const decoded = await decode(file);
  if (typeof decoded === "string") return say({ kind: "refused", why: decoded });
  const { logits, features, channels } = await network.run(preprocess(decoded, model.config));
  const malignant = model.config.labels.filter((name) => model.words.labels[name].malignant);
  const decision = decide(logits, pooled(features, channels), model.config, malignant, detector, gate);
  if (!decision.conditions.every(({ probability }) => Number.isFinite(probability))) throw new Error("The network computed no number.");
  const warnings = quality(decoded, model.quality);
  const seconds = (performance.now() - started) / 1e3;
  say({ kind: "answer", answer: { decision, told: tell(decision, warnings, decoded, model.words), seconds } });
}
async function decode(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return "unreadable";
  }
  let { width, height } = bitmap;
  if (Math.min(width, height) < model.min_side) return "small";
  if (Math.max(width, height) > model.max_aspect * Math.min(width, height)) return "narrow";
  const shrink = Math.max(1, Math.sqrt(width * height / LARGEST_CANVAS));
  width = Math.floor(width / shrink);
  height = Math.floor(height / shrink);
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const picture = withoutAlpha({ width, height, channels: 4, data });
  const jpeg = new Uint8Array(await file.slice(0, 2).arrayBuffer()).join() === "255,216";
  return jpeg ? reduced(picture, model.decode_side) : picture;
}
