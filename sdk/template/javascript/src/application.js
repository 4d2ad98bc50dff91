/** What is the application's own: its configuration, and whether it runs. Put your application in its place. */

export const ROOT = 'home';
export const SETTINGS = 'settings.ini';
/** There while the application runs. */
export const LOCK = 'lock';
export const DRAFTS = 'drafts';

/** No such file is larger. */
const LIMIT = 1 << 20;

const UNIT = /^[a-zA-Z0-9][a-zA-Z0-9_.@:-]*$/;

/** Ends a call that can't do its work: the contract's `failure` is what it carries. */
export class Failure extends Error {
  constructor(kind, code, message, remedy) {
    super(message);
    this.payload = { kind, code: `{{name}}.${code}`, message, remedy };
  }
}

/** A finding because of which a plan must not be carried out, or a restore has failed. */
export function error(code, message, path, remedy) {
  return { severity: 'error', code: `{{name}}.${code}`, message, remedy, path: `${ROOT}/${path}` };
}

/** The application's directory. */
export function home(trees) {
  const tree = trees.find((tree) => tree.name() === ROOT);
  if (tree === undefined) throw new Failure('missing', 'root', `the root \`${ROOT}\` was not given`);
  return tree;
}

/** What the operator has set. Copal has compared it with the schema; who runs a plugin otherwise may hand over anything. */
export function settingsOf(config) {
  let settings;
  try {
    settings = JSON.parse(config);
  } catch {
    settings = undefined;
  }
  const isObject = typeof settings === 'object' && settings !== null && !Array.isArray(settings);
  const known = isObject && Object.keys(settings).every((key) => key === 'unit');
  if (!known || !['string', 'undefined'].includes(typeof settings.unit)) {
    throw new Failure('invalid-config', 'config', 'the configuration is not an object with a text `unit` at most');
  }
  return settings;
}

/**
 * Which format the notes have; undefined without settings. A newer application raises it, and an older one can't read them any more.
 */
export function noteFormat(tree) {
  if (tree.stat(SETTINGS) === undefined) return undefined;
  const text = new TextDecoder().decode(tree.read(SETTINGS, 0n, LIMIT));
  const format = /^[ \t]*format[ \t]*=[ \t]*([0-9]{1,9})[ \t]*$/m.exec(text);
  if (format === null) throw new Failure('corrupt', 'settings.format', `${SETTINGS} does not say as a number which \`format\` the notes have`);
  return Number(format[1]);
}

/** The step that stops an application that runs, and starts it again; or what is to be said where nothing tells how. */
export function holdStill(tree, unit) {
  if (unit !== undefined && !UNIT.test(unit)) {
    throw new Failure('invalid-config', 'config', "the setting `unit` does not fit: it can't be the name of a unit");
  }
  if (tree.stat(LOCK) === undefined) return { steps: [], findings: [] };
  if (unit === undefined) {
    const remedy = 'Close it, or set `unit` to have it stopped and started again.';
    return { steps: [], findings: [error('running', 'The application runs, so its files may change at any moment.', LOCK, remedy)] };
  }
  const stop = {
    id: 'stop',
    title: `Stop the unit ${unit}`,
    action: { tag: 'run', val: command('systemctl', 'stop', unit) },
    undo: { tag: 'run', val: command('systemctl', 'start', unit) },
    capture: false,
  };
  return { steps: [stop], findings: [] };
}

/** A command without a shell, within five minutes. */
function command(...argv) {
  return { argv, environment: [], stdin: undefined, descriptors: [], timeout: 300 };
}
