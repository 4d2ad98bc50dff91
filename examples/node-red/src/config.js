/** What an operator can set. */

import { Failure } from './report.js';

export const SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  properties: {
    container: {
      type: 'string',
      description: 'The name of the Docker container that Node-RED runs in. It is stopped while its files are read or replaced.',
    },
    stopped: {
      type: 'boolean',
      default: false,
      description: 'You have stopped Node-RED yourself, and answer for it.',
    },
    credential_secret: {
      type: 'string',
      writeOnly: true,
      description: 'The value of `credentialSecret`, where settings.js takes it from elsewhere, such as an environment variable.',
    },
    settings: {
      type: 'string',
      enum: ['snapshot', 'target'],
      description: 'Restoring: which settings.js is there afterwards, where the two encrypt credentials with different secrets.',
    },
  },
};

// As Docker allows them, and no option of the program that the name is handed to.
const CONTAINER = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Reads a configuration, and names the key that does not fit. */
export function parse(text) {
  let values;
  try {
    values = JSON.parse(text);
  } catch {
    values = undefined;
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new Failure('invalid-config', 'config', 'the configuration is not a JSON object');
  }
  for (const [key, value] of Object.entries(values)) {
    const rule = Object.hasOwn(SCHEMA.properties, key) ? SCHEMA.properties[key] : undefined;
    if (rule === undefined) throw unfit(key, 'there is no such setting');
    if (typeof value !== rule.type) throw unfit(key, `it must be a ${rule.type}`);
    if (rule.enum && !rule.enum.includes(value)) throw unfit(key, `it must be one of ${rule.enum.join(', ')}`);
  }
  if (values.container !== undefined && !CONTAINER.test(values.container)) {
    throw unfit('container', "it can't be the name of a container");
  }
  return values;
}

function unfit(key, why) {
  return new Failure('invalid-config', 'config', `the setting \`${key}\` does not fit: ${why}`, '`copal plugin info` shows the settings.');
}
