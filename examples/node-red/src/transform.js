/**
 * The contract's interface `transform`: what is left out of a backup, and what a restore changes.
 *
 * Verdicts and filters follow from the plan's state, the entry and its bytes alone.
 */

import { Failure } from './report.js';
import { CONFIG, ROOT, RUNTIME, SETTINGS, leftOut } from './userdir.js';

/** More than the file of a clone's id has. */
const LARGEST = 16 << 20;

const KEEP = { tag: 'keep' };
const SKIP = { tag: 'skip' };
const FILTER = { tag: 'change', val: { filter: true } };

/** Gives `.config.runtime.json` another id. The file is small, so it is rewritten when it is there as a whole. */
export class Filter {
  #instanceId;
  #chunks = [];
  #length = 0;

  constructor(instanceId) {
    this.#instanceId = instanceId;
  }

  push(chunk) {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length > LARGEST) throw new Failure('corrupt', 'file.size', `${ROOT}/${RUNTIME} is larger than Node-RED writes it`);
    return new Uint8Array();
  }

  finish() {
    const content = new Uint8Array(this.#length);
    let offset = 0;
    for (const chunk of this.#chunks) {
      content.set(chunk, offset);
      offset += chunk.length;
    }
    let config;
    try {
      config = JSON.parse(new TextDecoder().decode(content));
    } catch {
      return content;
    }
    if (config?.instanceId === undefined) return content;
    // As runtime/lib/storage/localfilesystem/settings.js writes it.
    return new TextEncoder().encode(JSON.stringify({ ...config, instanceId: this.#instanceId }, null, 4));
  }

  members() {
    return [];
  }
}

function read(state) {
  let value;
  try {
    value = JSON.parse(new TextDecoder().decode(state));
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null) return value;
  throw new Failure('internal', 'state', 'the plan’s state can’t be read');
}

/** One worker's run over the tree. */
export class Pass {
  #backup;
  #state;

  constructor(direction, state) {
    this.#backup = direction === 'backup';
    this.#state = state;
  }

  static start(direction, state) {
    const { instanceId = null, keepSettings = false } = read(state);
    return new Pass(direction, { instanceId, keepSettings });
  }

  classify(root, entries) {
    return entries.map((entry) => this.#verdict(entry));
  }

  open() {
    return new Filter(this.#state.instanceId);
  }

  finish() {
    return [];
  }

  #verdict(entry) {
    if (this.#backup) return leftOut(entry) ? SKIP : KEEP;
    if (entry.path === SETTINGS && this.#state.keepSettings) return SKIP;
    const named = [RUNTIME, `${RUNTIME}.backup`, CONFIG].includes(entry.path);
    return named && this.#state.instanceId !== null ? FILTER : KEEP;
  }
}
