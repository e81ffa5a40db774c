// Writes app/private/built/: the scripts of this folder, and ONNX Runtime as its package has it.
// With another folder as the argument, WebAssembly stays unpacked there, which is far quicker.
import { execFileSync } from "node:child_process";
import { copyFileSync, rmSync, mkdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const elsewhere = process.argv[2];
const built = elsewhere ?? "../app/private/built";
const runtime = "node_modules/onnxruntime-web/dist";

rmSync(built, { recursive: true, force: true });
mkdirSync(built);
await build({
  entryPoints: ["decision.ts", "picture.ts", "sentences.ts", "engine.ts", "page.ts", "offline.ts"],
  outdir: built,
  format: "esm",
  target: "es2022",
  logLevel: "warning",
});
copyFileSync("LICENSE.onnxruntime.txt", `${built}/LICENSE.onnxruntime.txt`);
for (const name of ["ort.wasm.min.mjs", "ort.webgpu.min.mjs"]) copyFileSync(`${runtime}/${name}`, `${built}/${name}`);
for (const name of ["ort-wasm-simd-threaded", "ort-wasm-simd-threaded.asyncify"]) {
  copyFileSync(`${runtime}/${name}.mjs`, `${built}/${name}.mjs`);
  if (elsewhere) {
    copyFileSync(`${runtime}/${name}.wasm`, `${built}/${name}.wasm`);
    continue;
  }
  // 14 and 27 MB: far less when packed, and Python can unpack xz.
  const packed = execFileSync("xz", ["-9e", "--stdout", `${runtime}/${name}.wasm`], { maxBuffer: 2 ** 26 });
  writeFileSync(`${built}/${name}.wasm.xz`, packed);
}
