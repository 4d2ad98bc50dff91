/** A tree in memory, answers to commands, and what a pass makes of a tree. */

import { readFileSync, readdirSync } from 'node:fs';
import { webcrypto } from 'node:crypto';

import { Pass } from '../src/transform.js';

// Node 18 has it under another name.
globalThis.crypto ??= webcrypto;

const SAMPLE = new URL('../sample/', import.meta.url);
export const NOW = { seconds: 1_767_225_600n, nanoseconds: 0 };
export const INSPECT = ['docker', 'inspect', '-f', '{{{{.State.Running}}}}', 'nodered'];

const encoder = new TextEncoder();

/** A tree of files, by their paths; it has what the contract's `tree` has. */
export class MemoryTree {
  constructor(contents, location = '/srv/nodered') {
    this.contents = new Map();
    this.place = location;
    for (const [path, content] of Object.entries(contents)) this.write(path, content);
  }

  /** The sample; `changes` are by paths: bytes, text or a value as JSON, and null removes a file. */
  static sample(changes = {}) {
    const contents = {};
    const walk = (path) => {
      for (const entry of readdirSync(new URL(path, SAMPLE), { withFileTypes: true })) {
        if (entry.isDirectory()) walk(`${path}${entry.name}/`);
        else contents[path + entry.name] = readFileSync(new URL(path + entry.name, SAMPLE));
      }
    };
    walk('./');
    const named = Object.entries(contents).map(([path, content]) => [path.slice(2), content]);
    const all = { ...Object.fromEntries(named), ...changes };
    return new MemoryTree(Object.fromEntries(Object.entries(all).filter(([, content]) => content !== null)));
  }

  write(path, content) {
    const bytes = content instanceof Uint8Array ? content : encoder.encode(typeof content === 'string' ? content : JSON.stringify(content));
    this.contents.set(path, new Uint8Array(bytes));
  }

  text(path) {
    return new TextDecoder().decode(this.contents.get(path));
  }

  paths() {
    return [...this.contents.keys()].sort();
  }

  name() {
    return 'userdir';
  }

  location() {
    return this.place;
  }

  stat(path) {
    if (this.contents.has(path)) return entry(path, 'file', this.contents.get(path).length);
    return this.paths().some((other) => other.startsWith(`${path}/`)) ? entry(path, 'directory', 0) : undefined;
  }

  list(path) {
    const prefix = path === '' ? '' : `${path}/`;
    const beneath = this.paths().filter((other) => other.startsWith(prefix));
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

/** The tree as it comes out of a pass. */
export function passed(tree, direction, state, chunk = 1 << 20) {
  const pass = Pass.start(direction, state);
  const outcome = new MemoryTree({});
  const walk = (path) => {
    const entries = tree.list(path);
    for (const [index, verdict] of pass.classify('userdir', entries).entries()) {
      const { path, kind } = entries[index];
      if (verdict.tag === 'skip') continue;
      if (kind === 'directory') walk(path);
      else outcome.write(path, verdict.val?.filter ? filtered(pass.open('userdir', entries[index]), tree.contents.get(path), chunk) : tree.contents.get(path));
    }
  };
  walk('');
  pass.finish();
  return outcome;
}

function filtered(filter, content, chunk) {
  const pieces = [];
  for (let at = 0; at < content.length; at += chunk) pieces.push(filter.push(content.slice(at, at + chunk)));
  pieces.push(filter.finish());
  return Buffer.concat(pieces);
}

/** Answers one command; all others are denied, as without a grant. */
export function answering(argv, answer) {
  return (command) => {
    if (JSON.stringify(command.argv) !== JSON.stringify(argv)) {
      throw Object.assign(new Error('denied'), { payload: { kind: 'denied', code: 'test.denied', message: 'no grant' } });
    }
    return { code: answer.code, stdout: encoder.encode(answer.stdout ?? ''), stderr: encoder.encode(answer.stderr ?? ''), truncated: false };
  };
}

/** Denies every command. */
export const denied = answering([], {});

/** The severities of findings, by their codes. */
export function codes(findings) {
  return Object.fromEntries(findings.map(({ code, severity }) => [code.replace(/^node-red\./, ''), severity]));
}
