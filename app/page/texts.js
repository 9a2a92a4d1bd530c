// The page's words in its language, which the service wrote into the page, and numbers as people write them there.

export const language = document.documentElement.lang;
const table = JSON.parse(document.querySelector('meta[name="words"]').content);
const plural = new Intl.PluralRules(language);
const share = new Intl.NumberFormat(language, { style: "percent" });

/** The text of that name, `{place}` filled in from `given`. */
export const text = (name, given = {}) => filled(name, table[name], given);

/** The same in the form that the number `n` asks for. */
export const several = (name, n, given = {}) =>
  filled(name, table[`${name}.${plural.select(n)}`] ?? table[`${name}.other`], { n, ...given });

function filled(name, found, given) {
  if (found === undefined) throw new Error(`the page has no words for ${name}`);
  return found.replace(/\{(\w+)\}/g, (_, place) => given[place]);
}

/** A label as people say it: `front_left_door` as `front left door` where nobody has said better. */
export const words = (label) => table[`labels.${label}`] ?? String(label).replaceAll("_", " ");

/** What a predictor is called. */
export const called = (name) => table[`names.${name}`] ?? capital(String(name).replaceAll("_", " "));

/** What it answers: in the page's language where that is known, else as it says itself, in English. */
export const summaryOf = (name, own) =>
  table[`summaries.${name}`] ? { text: table[`summaries.${name}`] } : { text: own, lang: "en" };

/** Whether there are words for a problem of that code. */
export const knows = (code) => `problem.${code}_do` in table;

/** The first letter large; nouns and names are so in any case. */
export const capital = (said) => said.charAt(0).toLocaleUpperCase(language) + said.slice(1);

export const percent = (one) => share.format(one);

const number = (value, digits) => value.toLocaleString(language, { maximumFractionDigits: digits });

export const plain = (value) => number(value, 3);

export function duration(ms) {
  return ms < 1000 ? `${number(ms, 0)} ms` : `${number(ms / 1000, ms < 10000 ? 1 : 0)} s`;
}

export function megabytes(bytes) {
  const size = bytes / 2 ** 20;
  return `${number(size, size < 10 ? 1 : 0)} MB`;
}
