function percent(share, words) {
  return share < 0.01 ? words.under_one_percent : `${(100 * share).toFixed(0)}%`;
}
function likelihood(share, words) {
  return words.likelihood.find(([from]) => share >= from)[1];
}
function fill(text, words, values) {
  return text.replace(/\{(\w+)(?::\.(\d)%)?\}/g, (_, name, digits) => {
    const value = values[name];
    if (typeof value === "string") return value;
    return digits === "0" ? percent(value, words) : `${(100 * value).toFixed(Number(digits))}%`;
  });
}
function list(pieces, words, items) {
  return items.reduce((text, item, number) => {
    const last = number === items.length - 1;
    const after = last ? pieces[3] : number === items.length - 2 ? pieces[2] : pieces[1];
    return text + words.labels[item.name].in_a_sentence + fill(after, words, { probability: item.probability ?? 0 });
  }, pieces[0]);
}
function tell(decision, warnings, size, words) {
  const { verdict, conditions, criteria, modality } = decision;
  const first = conditions[0];
  const named = { condition: words.labels[first.name].in_a_sentence, probability: first.probability };
  const fired = criteria.filter((criterion) => criterion.fired);
  const worry = decision.malignancy?.fired ? "worried" : "calm";
  const unlike = fired.some(({ name }) => name === "unusualness" || name === "not_skin");
  const advice = verdict === "rejected" ? words.retry[unlike ? "unlike" : "like"][worry] : words.advice[verdict][first.name][worry];
  const reason = verdict === "rejected" ? words.rejected[fired.map(({ name }) => name).join()] : fill(words.reasons[verdict], words, named);
  return {
    tag: words.tags[verdict],
    headline: fill(words.headlines[verdict], words, named),
    reason,
    ...advice,
    caution: verdict === "rejected" ? null : caution(decision, advice.urgency, words),
    about: verdict === "rejected" ? null : first.name,
    criteria: criteria.map(({ name, value, fired: fired2 }) => ({ fired: fired2, sentence: fill(words.criteria[name], words, { value }) })),
    set: set(decision, words),
    quality: warnings.map((name) => fill(words.quality[name], words, { value: String(Math.min(size.width, size.height)) })),
    modality: modality && modality.probability >= words.modality_sure ? words.modality[modality.name] : null
  };
}
function caution({ conditions, malignancy, prediction_set }, urgency, words) {
  const worries = conditions.filter(({ name }) => words.labels[name].malignant);
  if (malignancy?.fired) {
    const inside2 = worries.filter(({ name, probability }) => prediction_set ? prediction_set.includes(name) : probability >= 0.01);
    const pieces2 = words.caution.worried[urgency];
    return pieces2 && list(pieces2, words, inside2.length ? inside2 : worries.slice(0, 1));
  }
  const inside = worries.filter(({ name }) => prediction_set?.includes(name));
  const pieces = words.caution.calm[urgency];
  return pieces && inside.length ? list(pieces, words, inside) : null;
}
function set({ prediction_set }, words) {
  if (prediction_set === null) return null;
  const [first] = prediction_set;
  return fill(words.sets[prediction_set.length], words, { condition: words.labels[first].in_a_sentence });
}
export {
  likelihood,
  percent,
  tell
};
