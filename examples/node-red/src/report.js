/** How this plugin reports: findings in a plan, and failures that end a call. */

/** Ends a call: the contract's `failure` is what it carries. */
export class Failure extends Error {
  constructor(kind, code, message, remedy) {
    super(message);
    this.payload = { kind, code: `node-red.${code}`, message, remedy };
  }
}

const finding = (severity) => (code, message, { remedy, path } = {}) => ({
  severity,
  code: `node-red.${code}`,
  message,
  remedy,
  path,
});

/** Worth knowing. */
export const info = finding('info');
/** A person should look. */
export const warning = finding('warning');
/** The plan must not be carried out. */
export const error = finding('error');
