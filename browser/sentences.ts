// What is said about a decision. Every sentence comes from app/pages/wording.py, through app/private/words.py.

import type { Criterion, Decision, Verdict } from "./decision.js";
import type { QualityName } from "./picture.js";

/** A sentence with a list of names: before the first, between two, before the last, after it. */
type Listing = [string, string, string, string];

export interface AdviceText {
  urgency: string;
  how_soon: string;
  points: string[];
  text: string;
}

/** Braces stand for what is put in: `{condition}`, or a number with Python's format, such as `{value:.0%}`. */
export interface Words {
  under_one_percent: string;
  /** Words for probabilities, each with that from which on it is used, descending. */
  likelihood: [number, string][];
  labels: Record<string, { title: string; in_a_sentence: string; summary: string; malignant: boolean }>;
  tags: Record<Verdict, string>;
  headlines: Record<Verdict, string>;
  reasons: Record<Exclude<Verdict, "rejected">, string>;
  /** By the names of the criteria that fired, with commas between them. */
  rejected: Record<string, string>;
  /** By verdict, label, and whether cancer cannot be ruled out. */
  advice: Record<Exclude<Verdict, "rejected">, Record<string, { calm: AdviceText; worried: AdviceText }>>;
  /** By whether the picture is unlike those that the model learned from. */
  retry: Record<"like" | "unlike", { calm: AdviceText; worried: AdviceText }>;
  /** By whether cancer cannot be ruled out, and by urgency. */
  caution: Record<"calm" | "worried", Record<string, Listing | null>>;
  criteria: Record<Criterion["name"], string>;
  /** By how many labels cannot be ruled out. */
  sets: Record<number, string>;
  quality: Record<QualityName, string>;
  modality: Record<"clinical" | "dermoscopy", string | null>;
  modality_sure: number;
}

export interface Told {
  tag: string;
  headline: string;
  reason: string;
  urgency: string;
  how_soon: string;
  caution: string | null;
  points: string[];
  text: string;
  about: string | null;
  criteria: { fired: boolean; sentence: string }[];
  set: string | null;
  quality: string[];
  modality: string | null;
}

/** A share as whole percents; never "0%" for something that is possible. */
export function percent(share: number, words: Words): string {
  return share < 0.01 ? words.under_one_percent : `${(100 * share).toFixed(0)}%`;
}

/** A word beside a probability. */
export function likelihood(share: number, words: Words): string {
  return words.likelihood.find(([from]) => share >= from)![1];
}

function fill(text: string, words: Words, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)(?::\.(\d)%)?\}/g, (_, name: string, digits?: string) => {
    const value = values[name];
    if (typeof value === "string") return value;
    return digits === "0" ? percent(value, words) : `${(100 * value).toFixed(Number(digits))}%`;
  });
}

/** `items`: the names, and the numbers that belong to each. */
function list(pieces: Listing, words: Words, items: { name: string; probability?: number }[]): string {
  return items.reduce((text, item, number) => {
    const last = number === items.length - 1;
    const after = last ? pieces[3] : number === items.length - 2 ? pieces[2] : pieces[1];
    return text + words.labels[item.name].in_a_sentence + fill(after, words, { probability: item.probability ?? 0 });
  }, pieces[0]);
}

/** Everything that the card says, as `headline`, `reason`, `advice`, `set_sentence` and the others do. */
export function tell(decision: Decision, warnings: QualityName[], size: { width: number; height: number }, words: Words): Told {
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
    criteria: criteria.map(({ name, value, fired }) => ({ fired, sentence: fill(words.criteria[name], words, { value }) })),
    set: set(decision, words),
    quality: warnings.map((name) => fill(words.quality[name], words, { value: String(Math.min(size.width, size.height)) })),
    modality: modality && modality.probability >= words.modality_sure ? words.modality[modality.name] : null,
  };
}

function caution({ conditions, malignancy, prediction_set }: Decision, urgency: string, words: Words): string | null {
  const worries = conditions.filter(({ name }) => words.labels[name].malignant);
  if (malignancy?.fired) {
    const inside = worries.filter(({ name, probability }) => (prediction_set ? prediction_set.includes(name) : probability >= 0.01));
    const pieces = words.caution.worried[urgency];
    return pieces && list(pieces, words, inside.length ? inside : worries.slice(0, 1));
  }
  const inside = worries.filter(({ name }) => prediction_set?.includes(name));
  const pieces = words.caution.calm[urgency];
  return pieces && inside.length ? list(pieces, words, inside) : null;
}

function set({ prediction_set }: Decision, words: Words): string | null {
  if (prediction_set === null) return null;
  const [first] = prediction_set;
  return fill(words.sets[prediction_set.length], words, { condition: words.labels[first].in_a_sentence });
}
