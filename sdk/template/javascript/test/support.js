/** A directory in memory, in the place of the one that Copal hands over. */

import { readFileSync, readdirSync } from 'node:fs';

const SAMPLE = new URL('../sample/', import.meta.url);
export const NOW = { seconds: 1_767_225_600n, nanoseconds: 0 };

/** A tree of files, by their paths; it has what the contract's `tree` has. */
export class MemoryTree {
  constructor(contents) {
    this.contents = new Map(Object.entries(contents).map(([path, text]) => [path, new TextEncoder().encode(text)]));
  }

  /** The sample, with some files otherwise. */
  static sample(changes = {}) {
    const contents = {};
    const walk = (path) => {
      for (const entry of readdirSync(new URL(`./${path}`, SAMPLE), { withFileTypes: true })) {
        if (entry.isDirectory()) walk(`${path}${entry.name}/`);
        else contents[path + entry.name] = readFileSync(new URL(path + entry.name, SAMPLE), 'utf8');
      }
    };
    walk('');
    return new MemoryTree({ ...contents, ...changes });
  }

  name() {
    return 'home';
  }

  location() {
    return '/srv/home';
  }

  stat(path) {
    const content = this.contents.get(path);
    if (content !== undefined) return entry(path, 'file', content.length);
    return [...this.contents.keys()].some((other) => other.startsWith(`${path}/`)) ? entry(path, 'directory', 0) : undefined;
  }

  list(path) {
    const prefix = path === '' ? '' : `${path}/`;
    const beneath = [...this.contents.keys()].sort().filter((other) => other.startsWith(prefix));
    const names = new Set(beneath.map((other) => other.slice(prefix.length).split('/')[0]));
    return [...names].map((name) => this.stat(prefix + name));
  }

  read(path, offset, length) {
    return this.contents.get(path).slice(Number(offset), Number(offset) + length);
  }
}

function entry(path, kind, size) {
  const owner = { uid: 1000, gid: 1000, user: '', group: '' };
  return { path, kind, size: BigInt(size), mode: 0o644, owner, modified: NOW, linkTarget: undefined };
}
