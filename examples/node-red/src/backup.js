/** Plans a backup. */

import { parse } from './config.js';
import { flowFiles, key, keptIn, note } from './credentials.js';
import { Failure, error, info, warning } from './report.js';
import { state, stop } from './service.js';
import * as userdir from './userdir.js';

export async function planBackup(roots, request, run) {
  const config = parse(request.config);
  const tree = userdir.require(roots);
  const files = flowFiles(tree);
  const project = userdir.activeProject(tree);
  if (files === undefined && project === undefined && !userdir.has(tree, userdir.SETTINGS)) {
    throw new Failure('unsupported', 'not-found', `the root \`${userdir.ROOT}\` holds neither flows nor ${userdir.SETTINGS}`, 'Give Node-RED’s user directory, such as ~/.node-red, or /data in its container.');
  }
  const plan = { findings: [], facts: [], quiesce: [], sources: [], state: new Uint8Array() };
  const encryption = key(tree, config.credential_secret);
  const facts = {
    version: userdir.version(tree) ?? null,
    instanceId: userdir.runtimeConfig(tree).instanceId ?? null,
    flowFile: files?.flows ?? null,
    nodes: files === undefined ? null : count(userdir.json(tree, files.flows)),
    credentials: files === undefined ? null : await note(tree, files.credentials, encryption),
    modules: userdir.modules(tree),
  };
  plan.facts = Object.entries(facts).map(([name, value]) => ({ name, value: JSON.stringify(value) }));
  nameFlows(facts, project, plan.findings);
  nameSecret(facts.credentials, encryption, plan.findings);
  if (facts.version === null) {
    plan.findings.push(warning('version.unknown', `${userdir.NODES} does not tell Node-RED's version, so a restore can't see whether the target is older.`));
  }
  if (facts.modules.length > 0) {
    plan.findings.push(info('modules.left-out', `${userdir.MODULES} is left out: package.json names what is installed in it (${facts.modules.join(', ')}).`));
  }
  quiesce(config, run, plan);
  plan.sources.push({ name: userdir.ROOT, after: [], window: 'quiesced', content: { tag: 'tree', val: userdir.ROOT } });
  plan.state = new TextEncoder().encode('{}');
  return plan;
}

/** How many nodes a flow file holds: the one thing of it that a restore is compared by. */
export function count(flows) {
  return Array.isArray(flows) ? flows.length : null;
}

function nameFlows({ flowFile, nodes }, project, findings) {
  if (project !== undefined) {
    findings.push(info('project', `The flows are those of the project ${project}, which is saved as it is; its credentials are not looked at.`));
  } else if (flowFile === null) {
    findings.push(
      warning('flows.elsewhere', `The file of the flows that ${userdir.SETTINGS} speaks of is not in this directory, so it is not saved.`, {
        remedy: 'Give the directory that holds it, or back it up too.',
      }),
    );
  } else if (nodes === null) {
    findings.push(warning('flows.unreadable', 'The file of the flows is not JSON, and Node-RED would begin with none.', { path: `${userdir.ROOT}/${flowFile}` }));
  }
}

function nameSecret(credentials, encryption, findings) {
  if (credentials?.encrypted !== true) return;
  const place = keptIn(encryption);
  if (encryption.kind === 'off') {
    findings.push(warning('secret.off', 'The credentials are encrypted, but settings.js turns encryption off: Node-RED can’t read them.'));
  } else if (place === undefined) {
    findings.push(
      warning('secret.elsewhere', 'The credentials are encrypted with a secret that is not in this directory, so the snapshot does not hold it.', {
        remedy: 'Keep it in a safe place: without it a restored Node-RED has no credentials. Set `credential_secret` to have it compared when they are restored.',
      }),
    );
  } else {
    findings.push(info('secret', `The snapshot holds the credentials, and in ${place} the secret that they are encrypted with.`));
  }
}

function quiesce(config, run, plan) {
  if (config.container !== undefined) {
    const now = state(config.container, run);
    if (now === 'absent') plan.findings.push(containerMissing(config.container));
    else if (now !== 'stopped') plan.quiesce.push(stop(config.container, { thaw: true }));
  } else if (!config.stopped) {
    plan.findings.push(
      warning('running.unknown', 'Whether Node-RED runs can’t be seen from its files. Each is whole, but flows and credentials may be of two deployments.', {
        remedy: 'Set `container` so that it is stopped meanwhile, or stop it yourself and set `stopped=true`.',
      }),
    );
  }
}

/** What is said of a container that is not there. */
export function containerMissing(container) {
  return error('container.missing', `There is no container ${container}.`, { remedy: 'Check the name, and that it is of this host and user.' });
}
