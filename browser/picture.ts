// The pixels that the network sees, bit for bit as model/image/preprocess.py and Pillow compute them.

/** 8-bit samples, row by row, `channels` for each pixel. */
export interface Pixels {
  width: number;
  height: number;
  channels: number;
  data: Uint8Array | Uint8ClampedArray;
}

export interface Preprocessing {
  input_size: number;
  crop_pct: number;
  crop_mode: "center" | "squash";
  interpolation: Interpolation;
  mean: number[];
  std: number[];
}

type Interpolation = "box" | "bilinear" | "bicubic";

const FILTERS: Record<Interpolation, { support: number; at: (x: number) => number }> = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    at: (x) => {
      const a = -0.5;
      x = Math.abs(x);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    },
  },
};

const ONE = 2 ** 22; // Pillow's weights are whole numbers of this part

/** Which samples make each new one, and their weights: `precompute_coeffs` of Pillow's Resample.c. */
function weights(from: number, to: number, interpolation: Interpolation): { first: number; of: Float64Array }[] {
  const filter = FILTERS[interpolation];
  const scale = from / to;
  const wide = Math.max(scale, 1);
  const support = filter.support * wide;
  return Array.from({ length: to }, (_, number) => {
    const centre = (number + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const of = new Float64Array(end - first);
    let sum = 0;
    for (let x = 0; x < of.length; x++) sum += of[x] = filter.at((x + first - centre + 0.5) * (1 / wide));
    for (let x = 0; x < of.length; x++) {
      const share = sum ? of[x] / sum : of[x];
      of[x] = Math.trunc((share < 0 ? -0.5 : 0.5) + share * ONE);
    }
    return { first, of };
  });
}

/** As `Image.resize` of Pillow for 8 bits: first the rows, then the columns, each rounded to 8 bits. */
export function resize(picture: Pixels, width: number, height: number, interpolation: Interpolation): Pixels {
  const { channels } = picture;
  let found = picture;
  if (width !== found.width) {
    const data = new Uint8ClampedArray(width * found.height * channels);
    const columns = weights(found.width, width, interpolation);
    for (let y = 0; y < found.height; y++)
      for (let x = 0; x < width; x++)
        for (let c = 0; c < channels; c++) {
          const { first, of } = columns[x];
          let sum = ONE / 2;
          for (let k = 0, at = (y * found.width + first) * channels + c; k < of.length; k++, at += channels)
            sum += found.data[at] * of[k];
          data[(y * width + x) * channels + c] = Math.floor(sum / ONE);
        }
    found = { width, height: found.height, channels, data };
  }
  if (height !== found.height) {
    const step = width * channels;
    const data = new Uint8ClampedArray(step * height);
    weights(found.height, height, interpolation).forEach(({ first, of }, y) => {
      for (let x = 0; x < step; x++) {
        let sum = ONE / 2;
        for (let k = 0, at = first * step + x; k < of.length; k++, at += step) sum += found.data[at] * of[k];
        data[y * step + x] = Math.floor(sum / ONE);
      }
    });
    found = { width, height, channels, data };
  }
  return found;
}

/** Halves a number's rounding to the even side, as Python does. */
function round(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

/** RGB pixels → (3, S, S), normalised: `preprocess`. */
export function preprocess(picture: Pixels, config: Preprocessing): Float32Array {
  const short = Math.trunc(config.input_size / config.crop_pct);
  const { width, height } = picture;
  let size = [short, short];
  if (config.crop_mode === "center")
    size = width <= height ? [short, Math.trunc((short * height) / width)] : [Math.trunc((short * width) / height), short];
  const seen = config.input_size;
  const left = round((size[0] - seen) / 2);
  const top = round((size[1] - seen) / 2);
  const resized = resize(picture, size[0], size[1], config.interpolation);
  const made = new Float32Array(3 * seen * seen);
  for (let c = 0; c < 3; c++) {
    const mean = Math.fround(config.mean[c]);
    const std = Math.fround(config.std[c]);
    for (let y = 0; y < seen; y++)
      for (let x = 0; x < seen; x++) {
        const value = Math.fround(resized.data[((y + top) * size[0] + x + left) * 3 + c] / 255);
        made[(c * seen + y) * seen + x] = Math.fround(value - mean) / std;
      }
  }
  return made;
}

/** RGBA → RGB; the picture has been laid on white. */
export function withoutAlpha(picture: Pixels): Pixels {
  const data = new Uint8Array(picture.width * picture.height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4) {
    data[to++] = picture.data[from];
    data[to++] = picture.data[from + 1];
    data[to++] = picture.data[from + 2];
  }
  return { ...picture, channels: 3, data };
}

/** Averages squares of 2, 4 or 8 pixels while both sides keep `least`: what decoding a JPEG at a smaller scale gives. */
export function reduced(picture: Pixels, least: number): Pixels {
  const room = Math.min(picture.width, picture.height) / least;
  const factor = [8, 4, 2].find((candidate) => candidate <= room);
  if (!factor) return picture;
  const { channels } = picture;
  const width = Math.ceil(picture.width / factor);
  const height = Math.ceil(picture.height / factor);
  const data = new Uint8ClampedArray(width * height * channels);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const right = Math.min(picture.width, (x + 1) * factor);
      const bottom = Math.min(picture.height, (y + 1) * factor);
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let v = y * factor; v < bottom; v++)
          for (let u = x * factor; u < right; u++) sum += picture.data[(v * picture.width + u) * channels + c];
        data[(y * width + x) * channels + c] = sum / ((right - x * factor) * (bottom - y * factor));
      }
    }
  return { width, height, channels, data };
}

export interface QualityRule {
  side: number;
  smallest: number;
  dark_below: number;
  white_from: number;
  bright_above: number;
  sharp_from: number;
}

export type QualityName = "too_small" | "too_dark" | "blurred" | "too_bright";

/** The names of what could be better about a photo, RGB: `check_quality` of model/image/quality.py. */
export function quality(picture: Pixels, rule: QualityRule): QualityName[] {
  const found: QualityName[] = [];
  if (Math.min(picture.width, picture.height) < rule.smallest) found.push("too_small");
  const grey = smallGrey(picture, rule.side);
  const counts = new Float64Array(256);
  for (const value of grey.data) counts[value]++;
  let sum = 0;
  const shares = counts.map((count) => (sum += count) / grey.data.length);
  const highlights = shares.findIndex((share) => share >= 0.95) / 255;
  if (highlights < rule.dark_below) found.push("too_dark");
  else if (laplacianVariance(grey) < rule.sharp_from) found.push("blurred");
  if (1 - shares[Math.trunc(rule.white_from * 255)] > rule.bright_above) found.push("too_bright");
  return found;
}

function smallGrey(picture: Pixels, side: number): Pixels {
  const { width, height, data } = picture;
  const grey = new Uint8Array(width * height);
  for (let at = 0; at < grey.length; at++)
    grey[at] = (data[3 * at] * 19595 + data[3 * at + 1] * 38470 + data[3 * at + 2] * 7471 + 0x8000) >> 16;
  const found = { width, height, channels: 1, data: grey };
  const factor = side / Math.min(width, height);
  return factor < 1 ? resize(found, round(width * factor), round(height * factor), "box") : found;
}

function laplacianVariance({ width, height, data }: Pixels): number {
  let sum = 0;
  let squares = 0;
  for (let y = 1; y < height - 1; y++)
    for (let x = 1; x < width - 1; x++) {
      const at = y * width + x;
      const value = 4 * data[at] - data[at - width] - data[at + width] - data[at - 1] - data[at + 1];
      sum += value;
      squares += value * value;
    }
  const count = (width - 2) * (height - 2);
  return squares / count - (sum / count) ** 2;
}
