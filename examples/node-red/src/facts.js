/** What a backup notes for a later restore. */

import { Failure } from './report.js';

const isText = (value) => typeof value === 'string';

/** The facts by their names, and what each may be besides null. */
const FACTS = {
  version: isText,
  instanceId: isText,
  flowFile: isText,
  nodes: Number.isInteger,
  credentials: (value) => typeof value === 'object' && isText(value.file) && isText(value.key) && typeof value.encrypted === 'boolean',
  modules: (value) => Array.isArray(value) && value.every(isText),
};

/** The facts of a snapshot, null where one is missing. They come from a repository, which may hold anything. */
export function factsOf(facts) {
  const values = Object.fromEntries(Object.keys(FACTS).map((name) => [name, null]));
  for (const { name, value } of facts.filter(({ name }) => Object.hasOwn(FACTS, name))) {
    let read;
    try {
      read = JSON.parse(value);
    } catch {
      read = undefined;
    }
    if (read !== null && !(read !== undefined && FACTS[name](read))) {
      throw new Failure('corrupt', 'facts', `the snapshot's fact \`${name}\` is not what a backup notes`);
    }
    values[name] = read;
  }
  return values;
}
