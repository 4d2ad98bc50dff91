/** Copal plugin for Node-RED: saves its user directory, and restores, moves or clones it. */

import { run } from 'copal:plugin/process@0.1.0';

import { planBackup } from './backup.js';
import { SCHEMA } from './config.js';
import { detect } from './detect.js';
import { planRestore } from './restore.js';
import { Filter, Pass } from './transform.js';
import { ROOT } from './userdir.js';
import { verify } from './verify.js';

/** The contract's interface `app`. */
export const app = {
  describe() {
    return {
      name: 'example/node-red',
      version: '0.1.0',
      summary: 'Saves, restores, moves and clones a Node-RED: flows, credentials, settings and context.',
      roots: [{ name: ROOT, description: "Node-RED's user directory: ~/.node-red, or /data in its container", conflicts: [] }],
      anyRoots: false,
      configSchema: JSON.stringify(SCHEMA),
      capabilities: [
        { grant: 'probe:docker inspect -f {{.State.Running}} *', reason: 'To see whether the container of `container` runs' },
        { grant: 'run:docker stop *', reason: 'To stop the container while its files are read or replaced' },
        { grant: 'run:docker start *', reason: 'To start the container again after a backup' },
      ],
      applications: [{ name: 'Node-RED', versions: '1.0 and newer, with its files in the user directory' }],
      intents: ['recover', 'migrate', 'clone'],
    };
  },
  detect,
  planBackup: (roots, request) => planBackup(roots, request, run),
  planRestore: (targets, snapshot, request) => planRestore(targets, snapshot, request, run),
  verify,
};

export const transform = { Filter, Pass };
