/** The contract's interface `app`: what the plugin says of itself, and its plans. */

import { Failure, ROOT, SETTINGS, error, holdStill, home, noteFormat, settingsOf } from './application.js';

/** What an operator can set. Copal refuses what does not fit. */
const SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  properties: {
    unit: {
      type: 'string',
      description: "The systemd unit to stop while the application's files are read or replaced.",
    },
  },
};

export function describe() {
  return {
    name: '{{publisher}}/{{name}}',
    version: '0.1.0',
    summary: 'Saves notes without their drafts, and restores them.',
    roots: [{ name: ROOT, description: 'The folder that holds settings.ini and notes', conflicts: [] }],
    anyRoots: false,
    configSchema: JSON.stringify(SCHEMA),
    capabilities: [
      { grant: 'run:systemctl stop *', reason: 'To stop the unit of `unit` while its files are read or replaced' },
      { grant: 'run:systemctl start *', reason: 'To start the unit again afterwards' },
    ],
    applications: [{ name: '{{name}}', versions: 'all whose notes have a format of 1 or more' }],
    intents: ['recover', 'migrate', 'clone'],
  };
}

export function detect(root) {
  // Settings that say no format are another application's.
  const format = formatOf(root);
  if (root.stat('notes')?.kind !== 'directory' || format === undefined) return undefined;
  const because = ['there is a folder notes', `${SETTINGS} says format ${format}`];
  return { application: '{{name}}', version: undefined, root: ROOT, confidence: 80, because };
}

export function planBackup(roots, request) {
  const tree = home(roots);
  const format = noteFormat(tree);
  if (format === undefined) {
    throw new Failure('missing', 'not-found', `there is no ${SETTINGS} in ${tree.location()}`, 'Give the folder that holds settings.ini and notes.');
  }
  const { steps, findings } = holdStill(tree, settingsOf(request.config).unit);
  return {
    findings,
    facts: [{ name: 'format', value: JSON.stringify(format) }],
    quiesce: steps,
    sources: [{ name: ROOT, after: [], window: 'quiesced', content: { tag: 'tree', val: ROOT } }],
    state: new Uint8Array(),
  };
}

export function planRestore(targets, snapshot, request) {
  const tree = home(targets);
  const saved = savedFormat(request.facts);
  // A rehearsal must not touch the application that runs beside it.
  const { steps, findings } = request.rehearsal ? { steps: [], findings: [] } : holdStill(tree, settingsOf(request.config).unit);
  // Settings that can't be read are no reason to refuse: a restore may be what mends them.
  const there = formatOf(tree);
  if (there !== undefined && there > saved) {
    const message = `The target's notes have format ${there}, newer than the snapshot's ${saved}.`;
    findings.push(error('target.newer', message, SETTINGS, 'Restore into an empty folder, or move this one away.'));
  }
  return {
    findings,
    safeguards: [],
    before: steps,
    placements: [{ name: ROOT, after: [], content: { tag: 'tree', val: ROOT } }],
    after: [],
    state: new Uint8Array(),
  };
}

export function verify(targets, snapshot, request) {
  settingsOf(request.config);
  const saved = savedFormat(request.facts);
  const there = noteFormat(home(targets));
  if (there === undefined) return [error('verify.missing', `${SETTINGS} was saved and is not there.`, SETTINGS)];
  if (there !== saved) return [error('verify.format', `The restored notes have format ${there}, the saved ones had ${saved}.`, SETTINGS)];
  return [];
}

/** The format of the notes, undefined also where the settings can't be read. */
function formatOf(tree) {
  try {
    return noteFormat(tree);
  } catch (failure) {
    if (failure instanceof Failure) return undefined;
    throw failure;
  }
}

/** The format that the backup noted. */
function savedFormat(facts) {
  const noted = facts.find(({ name }) => name === 'format');
  if (noted === undefined || !/^[0-9]{1,9}$/.test(noted.value)) {
    throw new Failure('missing', 'facts', 'the snapshot does not tell which format its notes have');
  }
  return Number(noted.value);
}
