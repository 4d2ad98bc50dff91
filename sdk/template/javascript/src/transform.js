/**
 * The contract's interface `transform`: what becomes of entries, and of bytes.
 *
 * Copal runs several passes at the same time, and counts on equal outcomes: a verdict or a filter's output may depend on nothing but the state of
 * the plan, the entry and its bytes.
 */

import { DRAFTS, Failure, LOCK } from './application.js';

const KEEP = { tag: 'keep' };
const SKIP = { tag: 'skip' };

/** Would rewrite a file's content; this plugin has none rewritten. */
export class Filter {
  push(chunk) {
    return chunk;
  }

  finish() {
    return new Uint8Array();
  }

  members() {
    return [];
  }
}

/** Leaves out drafts and the lock when they are saved; a restore brings back all that the snapshot holds. */
export class Pass {
  #direction;

  constructor(direction) {
    this.#direction = direction;
  }

  static start(direction, state) {
    return new Pass(direction);
  }

  classify(root, entries) {
    return entries.map(({ path }) => (this.#direction === 'backup' && [DRAFTS, LOCK].includes(path) ? SKIP : KEEP));
  }

  open(root, entry) {
    throw new Failure('internal', 'filter', 'no verdict asks for a filter');
  }

  finish() {
    return [];
  }
}
