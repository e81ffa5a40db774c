const NO_CONDITION = "Unknown_Normal";
const TOLERANCE = 1e-8;
function readStored(file) {
  const length = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
  const found = { tensors: {}, shapes: {}, values: {} };
  for (const [name, value] of Object.entries(header.__metadata__ ?? {})) found.values[name] = JSON.parse(value);
  delete header.__metadata__;
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    const view = new DataView(file, 8 + length + data_offsets[0], data_offsets[1] - data_offsets[0]);
    found.shapes[name] = shape;
    if (dtype === "F16") found.tensors[name] = Float64Array.from({ length: view.byteLength / 2 }, (_, i) => half(view.getUint16(2 * i, true)));
    else if (dtype === "F32") found.tensors[name] = Float64Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
    else if (dtype === "F64") found.tensors[name] = Float64Array.from({ length: view.byteLength / 8 }, (_, i) => view.getFloat64(8 * i, true));
    else throw new Error(`${name} holds ${dtype}; F16, F32 or F64 is expected`);
  }
  return found;
}
function half(bits) {
  const exponent = bits >> 10 & 31;
  const fraction = bits & 1023;
  const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction / 1024 * 2 ** -14;
  return bits >> 15 ? -size : size;
}
function pooled(map, channels) {
  const places = map.length / channels;
  return Float64Array.from({ length: channels }, (_, c) => {
    let sum = 0;
    for (let at = c * places; at < (c + 1) * places; at++) sum += map[at];
    return sum / places;
  });
}
class Detector {
  constructor(stored) {
    this.stored = stored;
    const { centres } = stored.tensors;
    const [count, channels] = stored.shapes.centres;
    this.axes = stored.shapes.directions[1];
    this.centres = Array.from({ length: count }, (_, m) => centres.subarray(m * channels, (m + 1) * channels));
    this.within = this.centres.map((centre) => this.along(centre));
  }
  stored;
  within;
  centres;
  axes;
  unusualness(features) {
    let x = features;
    if (this.stored.values.normalised) {
      const length = Math.max(Math.hypot(...x), 1e-12);
      x = x.map((value) => value / length);
    }
    const along = this.along(x);
    const { weights, reference } = this.stored.tensors;
    const distances = this.centres.map((centre, m) => {
      let squared = 0;
      for (let c = 0; c < x.length; c++) squared += (x[c] - centre[c]) ** 2;
      for (let d = 0; d < this.axes; d++) squared += (weights[d] - 1) * (along[d] - this.within[m][d]) ** 2;
      return squared;
    });
    distances.sort((a, b) => a - b);
    const score = Math.max(0, distances[this.stored.values.neighbour - 1]);
    const smaller = reference.findIndex((other) => other >= score);
    return (smaller < 0 ? reference.length : smaller) / reference.length;
  }
  along(x) {
    const { directions } = this.stored.tensors;
    const found = new Float64Array(this.axes);
    for (let c = 0; c < x.length; c++)
      for (let d = 0; d < this.axes; d++) found[d] += x[c] * directions[c * this.axes + d];
    return found;
  }
}
function softmax(logits, temperature) {
  const scaled = Array.from(logits, (logit) => logit / temperature);
  const largest = Math.max(...scaled);
  const raised = scaled.map((value) => Math.exp(value - largest));
  const sum = raised.reduce((a, b) => a + b);
  return raised.map((value) => value / sum);
}
function decide(logits, features, config, malignant, detector, gate) {
  const probabilities = softmax(logits, config.temperature);
  const conditions = config.labels.map((name, number) => ({ name, probability: probabilities[number] })).sort((a, b) => b.probability - a.probability);
  const criteria = judge(probabilities, config, detector && detector.unusualness(features));
  const unknown = conditions[0].name === NO_CONDITION && conditions[0].probability > conditions[1].probability;
  let verdict = conditions[0].probability < config.uncertain_below ? "uncertain" : "condition";
  if (unknown) verdict = "no_condition";
  if (criteria.some(({ fired }) => fired)) verdict = "rejected";
  const worrying = conditions.filter(({ name }) => malignant.includes(name));
  const summed = Math.min(1, worrying.reduce((sum, { probability }) => sum + probability, 0));
  const worry = config.malignant_from < 1 && summed >= config.malignant_from;
  const inside = conditions.filter(
    (each) => each === conditions[0] || worry && each === worrying[0] || 1 - each.probability - config.set_quantile <= TOLERANCE
  );
  return {
    verdict,
    conditions,
    criteria,
    malignancy: worrying.length ? { probability: summed, threshold: config.malignant_from, fired: worry } : null,
    prediction_set: verdict === "rejected" || config.set_quantile >= 1 ? null : inside.map(({ name }) => name),
    modality: gate && kind(features, gate)
  };
}
function judge(probabilities, config, unusualness) {
  const largest = Math.max(...probabilities);
  const entropy = -probabilities.reduce((sum, p) => sum + p * Math.log(Math.min(1, Math.max(1e-12, p))), 0) / Math.log(probabilities.length);
  const criteria = [
    { name: "max_probability", value: largest, threshold: config.min_max_probability, fired: largest < config.min_max_probability },
    { name: "normalized_entropy", value: entropy, threshold: config.max_normalized_entropy, fired: entropy > config.max_normalized_entropy }
  ];
  if (unusualness === null) return criteria;
  criteria.push({ name: "unusualness", value: unusualness, threshold: config.max_unusualness, fired: unusualness > config.max_unusualness });
  const number = config.labels.indexOf(NO_CONDITION);
  if (number < 0) return criteria;
  const unknown = Math.min(1 - 1e-3, Math.max(1e-3, probabilities[number]));
  const best = Math.max(...probabilities.filter((_, other) => other !== number));
  const evidence = -Math.log(1.001 - unusualness) + Math.log(unknown / (1 - unknown));
  const value = probabilities[number] <= best ? 1 / (1 + Math.exp(-evidence)) : 0;
  criteria.push({ name: "not_skin", value, threshold: config.max_not_skin, fired: value > config.max_not_skin });
  return criteria;
}
function kind(features, gate) {
  let score = gate.tensors.bias[0];
  gate.tensors.weights.forEach((weight, c) => score += weight * features[c]);
  const dermoscopy = 1 / (1 + Math.exp(-Math.min(50, Math.max(-50, score))));
  return { name: dermoscopy > 0.5 ? "dermoscopy" : "clinical", probability: Math.max(dermoscopy, 1 - dermoscopy) };
}
export {
  Detector,
  decide,
  pooled,
  readStored,
  softmax
};
