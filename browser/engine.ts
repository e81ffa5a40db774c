// The worker that loads the network, decodes pictures and computes answers; nothing that it gets leaves it.

import { Detector, decide, pooled, readStored, type Config, type Decision } from "./decision.js";
import { preprocess, quality, reduced, withoutAlpha, type Pixels, type QualityRule } from "./picture.js";
import { tell, type Told, type Words } from "./sentences.js";

export interface Model {
  id: string;
  revision: string;
  config: Config & { detector: string; gate: string };
  decode_side: number;
  min_side: number;
  max_aspect: number;
  quality: QualityRule;
  words: Words;
  /** The logits of the input that `checkInput` makes, from the server's own computation. */
  check: number[];
  /** Large files by their names: where they are, and their sizes in bytes. */
  large: Record<string, { url: string; size: number }>;
  /** The other files that are needed without a connection. */
  small: string[];
}

export interface Answer {
  decision: Decision;
  told: Told;
  seconds: number;
}

export type Said =
  | { kind: "progress"; done: number; of: number }
  | { kind: "ready"; engine: string; offline: boolean }
  | { kind: "answer"; answer: Answer }
  | { kind: "refused"; why: "unreadable" | "small" | "narrow" }
  | { kind: "failed"; message: string };

const CACHE = "skindiseasenet-private";
const CHECK_TOLERANCE = 0.05; // of logits: far more than rounding, far less than a wrong result
const LARGEST_CANVAS = 16e6; // pixels; Safari has no larger one

interface Network {
  run(input: Float32Array): Promise<{ logits: Float32Array; features: Float32Array; channels: number }>;
}

let model: Model;
let network: Network;
let detector: Detector | null = null;
let gate: ReturnType<typeof readStored> | null = null;

const say = (said: Said): void => postMessage(said);

onmessage = async ({ data }: MessageEvent<{ kind: "load" } | { kind: "ask"; file: Blob }>) => {
  try {
    await (data.kind === "load" ? load() : ask(data.file));
  } catch (error) {
    say({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
  }
};

async function load(): Promise<void> {
  model = await (await fetch("model.json")).json();
  const adapter = await (navigator as any).gpu?.requestAdapter().catch(() => null);
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

const threads = (): number => (crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1);

async function start(provider: "wasm" | "webgpu"): Promise<Network> {
  const runtime = provider === "wasm" ? "ort-wasm-simd-threaded" : "ort-wasm-simd-threaded.asyncify";
  const { detector: seen, gate: kind } = model.config;
  const wanted = ["model.onnx", `${runtime}.wasm`, ...[seen, kind].filter(Boolean)];
  const files = await fetchAll(wanted);
  // Not a literal: the runtime is no module of this folder.
  const ort = await import(new URL(`ort.${provider}.min.mjs`, import.meta.url).href);
  ort.env.wasm.wasmBinary = files[`${runtime}.wasm`];
  ort.env.wasm.wasmPaths = { mjs: new URL(`${runtime}.mjs`, import.meta.url).href };
  ort.env.wasm.numThreads = threads();
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(new Uint8Array(files["model.onnx"]), { executionProviders: [provider] });
  if (seen) detector = new Detector(readStored(files[seen]));
  if (kind) gate = readStored(files[kind]);
  const side = model.config.input_size;
  const found: Network = {
    async run(input) {
      const { logits, features } = await session.run({ images: new ort.Tensor("float32", input, [1, 3, side, side]) });
      return { logits: logits.data, features: features.data, channels: features.dims[1] };
    },
  };
  const { logits } = await found.run(checkInput(3 * side * side));
  if (!model.check.every((expected, number) => Math.abs(logits[number] - expected) < CHECK_TOLERANCE))
    throw new Error("This browser computes the network wrongly.");
  return found;
}

/** As `check_input` of app/private/site.py. */
function checkInput(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => ((i * 7919) % 256) / 128 - 1);
}

async function fetchAll(names: string[]): Promise<Record<string, ArrayBuffer>> {
  const of = names.reduce((sum, name) => sum + model.large[name].size, 0);
  let done = 0;
  const files: Record<string, ArrayBuffer> = {};
  for (const name of names) {
    const { url, size } = model.large[name];
    const cache = "caches" in self ? await caches.open(CACHE) : null;
    const kept = await cache?.match(url);
    const response = kept ?? (await fetch(url));
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
    // Without room for it the page still works, but not offline.
    if (!kept) await cache?.put(url, new Response(bytes, { headers: { "Content-Type": "application/octet-stream" } })).catch(() => {});
    files[name] = bytes.buffer;
  }
  return files;
}

/** Keeps the small files too, and removes those of earlier versions; returns whether all are there. */
async function keep(): Promise<boolean> {
  if (!("caches" in self)) return false;
  try {
    const cache = await caches.open(CACHE);
    await cache.addAll(model.small);
    const current = new Set([...model.small, ...Object.values(model.large).map(({ url }) => url)].map((url) => new URL(url, location.href).href));
    for (const { url } of await cache.keys()) if (!current.has(url)) await cache.delete(url);
    return (await cache.match(model.large["model.onnx"].url)) !== undefined;
  } catch {
    return false; // no connection, or no room
  }
}

async function ask(file: Blob): Promise<void> {
  const started = performance.now();
  const decoded = await decode(file);
  if (typeof decoded === "string") return say({ kind: "refused", why: decoded });
  const { logits, features, channels } = await network.run(preprocess(decoded, model.config));
  const malignant = model.config.labels.filter((name) => model.words.labels[name].malignant);
  const decision = decide(logits, pooled(features, channels), model.config, malignant, detector, gate);
  if (!decision.conditions.every(({ probability }) => Number.isFinite(probability))) throw new Error("The network computed no number.");
  const warnings = quality(decoded, model.quality);
  const seconds = (performance.now() - started) / 1000;
  say({ kind: "answer", answer: { decision, told: tell(decision, warnings, decoded, model.words), seconds } });
}

async function decode(file: Blob): Promise<Pixels | "unreadable" | "small" | "narrow"> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return "unreadable";
  }
  let { width, height } = bitmap;
  if (Math.min(width, height) < model.min_side) return "small";
  if (Math.max(width, height) > model.max_aspect * Math.min(width, height)) return "narrow";
  const shrink = Math.max(1, Math.sqrt((width * height) / LARGEST_CANVAS));
  width = Math.floor(width / shrink);
  height = Math.floor(height / shrink);
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
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
