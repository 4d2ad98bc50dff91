/**
 * Node-RED's user directory: its names, and reading it. Where a fact comes from stands beside it; paths are those of Node-RED's own source, beneath
 * packages/node_modules/@node-red.
 */

import { Failure } from './report.js';

/** The plugin's only root, in Node-RED's own word. */
export const ROOT = 'userdir';

// The documentation, "Configuration": read from the user directory at the start.
export const SETTINGS = 'settings.js';
// runtime/lib/storage/localfilesystem/settings.js: the node registry, and what belongs nowhere else.
export const NODES = '.config.nodes.json';
export const RUNTIME = '.config.runtime.json';
export const PROJECTS = '.config.projects.json';
// The same: all of it in one file, before 1.2.
export const CONFIG = '.config.json';
// runtime/lib/storage/localfilesystem/index.js: made where it is absent; what the palette manager installs stands in it.
export const PACKAGE = 'package.json';
export const MODULES = 'node_modules';
// runtime/lib/storage/localfilesystem/sessions.js: who is logged in to the editor.
const SESSIONS = '.sessions.json';
// runtime/lib/storage/localfilesystem/util.js: a file that is being written. It is then renamed, so every other file is whole.
const UNFINISHED = '.$$$';

/** More than any of these files has. */
const LARGEST = 64n << 20n;
/** What one call of the contract's `read` gives at most. */
const PIECE = 4n << 20n;

/** Whether a backup leaves this entry out, a directory with all beneath it. */
export function leftOut({ path, kind }) {
  if (kind === 'directory') return path === MODULES;
  return path === SESSIONS || path.endsWith(UNFINISHED);
}

/** The user directory among the trees. */
export function require(trees) {
  const tree = trees.find((tree) => tree.name() === ROOT);
  if (tree === undefined) throw new Failure('missing', 'root', `the root \`${ROOT}\` was not given`);
  return tree;
}

/** Whether there is a file of that path. */
export function has(tree, path) {
  return tree.stat(path)?.kind === 'file';
}

/** A file's bytes; undefined where there is none. */
export function bytes(tree, path) {
  const entry = tree.stat(path);
  if (entry?.kind !== 'file') return undefined;
  if (entry.size > LARGEST) throw new Failure('corrupt', 'file.size', `${ROOT}/${path} has ${entry.size} bytes, and Node-RED writes ${LARGEST} at most`);
  const content = new Uint8Array(Number(entry.size));
  for (let offset = 0n; offset < entry.size; offset += PIECE) {
    content.set(tree.read(path, offset, Number(PIECE)).subarray(0, content.length - Number(offset)), Number(offset));
  }
  return content;
}

/** A file's text; undefined where there is none. */
export function text(tree, path) {
  const content = bytes(tree, path);
  return content && new TextDecoder().decode(content);
}

/** The value in a JSON file; undefined where there is none, and where it is not JSON: Node-RED takes such a file for an empty one. */
export function json(tree, path) {
  const content = text(tree, path);
  if (content === undefined) return undefined;
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}

/** What Node-RED keeps for itself, such as `_credentialSecret` and `instanceId`. */
export function runtimeConfig(tree) {
  return json(tree, RUNTIME) ?? json(tree, CONFIG) ?? {};
}

/** The version of the Node-RED that last wrote its node registry (registry/lib/registry.js, saveNodeList). */
export function version(tree) {
  const nodes = json(tree, NODES) ?? json(tree, CONFIG)?.nodes;
  const version = nodes?.['node-red']?.version;
  return typeof version === 'string' ? version : undefined;
}

/** The modules that the palette manager, or npm, has installed into the user directory. */
export function modules(tree) {
  return Object.keys(json(tree, PACKAGE)?.dependencies ?? {}).sort();
}

/** The project that is active, where projects are used (runtime/lib/storage/localfilesystem/projects). */
export function activeProject(tree) {
  const config = json(tree, PROJECTS) ?? json(tree, CONFIG)?.projects;
  return typeof config?.activeProject === 'string' && config.activeProject !== '' ? config.activeProject : undefined;
}
