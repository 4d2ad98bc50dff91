/**
 * The file of credentials and the secret that it is encrypted with (runtime/lib/nodes/credentials.js). The secret is compared by a check value, and
 * stands in no fact.
 */

import { hex, sha256 } from './digest.js';
import { PROJECTS, RUNTIME, SETTINGS, activeProject, bytes, has, json, runtimeConfig, text } from './userdir.js';
import { entry } from './settings-js.js';

/** Enough to make guessing a secret from its check value dear, little enough for one look. */
const ROUNDS = 1_000;

/**
 * What encrypts the credentials: `settings` (it stands in settings.js), `elsewhere` (settings.js takes it from elsewhere, such as a variable),
 * `generated` (Node-RED made it itself, and keeps it in .config.runtime.json), `project`, `off`, or `none`. `secret` is there where it is known.
 */
export function key(tree, configured) {
  if (activeProject(tree) !== undefined) return { kind: 'project' };
  const settings = text(tree, SETTINGS);
  const said = settings === undefined ? { kind: 'absent' } : entry(settings, 'credentialSecret');
  switch (said.kind) {
    case 'text':
      return { kind: 'settings', secret: said.value };
    case 'false':
      return { kind: 'off' };
    case 'expression':
      return { kind: 'elsewhere', secret: configured };
    default: {
      const secret = runtimeConfig(tree)._credentialSecret;
      return typeof secret === 'string' ? { kind: 'generated', secret } : { kind: 'none' };
    }
  }
}

/** The file that holds the flows, and the one beside it with their credentials (runtime/lib/storage/localfilesystem/projects/index.js). */
export function flowFiles(tree) {
  const settings = text(tree, SETTINGS);
  const said = settings === undefined ? { kind: 'absent' } : entry(settings, 'flowFile');
  const names = said.kind === 'text' ? [said.value.replace(/^\.\//, '')] : ['flows.json', ...ofHosts(tree)];
  const flows = names.find((name) => !name.startsWith('/') && has(tree, name));
  if (flows === undefined) return undefined;
  const dot = flows.lastIndexOf('.');
  const stem = dot > flows.lastIndexOf('/') + 1 ? dot : flows.length;
  return { flows, credentials: `${flows.slice(0, stem)}_cred${flows.slice(stem)}` };
}

/** `flows_HOST.json`, the name where settings.js gives none; more than one says nothing. */
function ofHosts(tree) {
  const names = tree.list('').map(({ path }) => path).filter((path) => /^flows_.*\.json$/.test(path) && !path.endsWith('_cred.json'));
  return names.length === 1 ? names : [];
}

/** Whether this is what Node-RED writes when it encrypts credentials. */
export function isEncrypted(document) {
  return typeof document?.$ === 'string' && Object.keys(document).length === 1;
}

/** What a restore can compare a secret with. */
export async function checkValue(secret, salt) {
  let value = await sha256('copal node-red credentialSecret', salt, secret);
  for (let round = 1; round < ROUNDS; round += 1) value = await sha256(value, salt);
  return value;
}

/** What a backup notes of the credentials; `key` says what encrypts them. */
export async function note(tree, path, { kind, secret }) {
  const content = bytes(tree, path);
  const noted = { file: path, encrypted: content !== undefined && isEncrypted(json(tree, path)), key: kind };
  if (!noted.encrypted || secret === undefined) return noted;
  const salt = hex(new Uint8Array(await crypto.subtle.digest('SHA-256', content)).subarray(0, 8));
  return { ...noted, salt, check: await checkValue(secret, salt) };
}

/** Where the secret lies; undefined where the snapshot does not hold it. */
export function keptIn({ kind }) {
  return { settings: SETTINGS, generated: RUNTIME, project: PROJECTS }[kind];
}
