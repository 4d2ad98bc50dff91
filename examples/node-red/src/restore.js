/** Plans a restore. */

import { containerMissing } from './backup.js';
import { parse } from './config.js';
import { checkValue, key } from './credentials.js';
import { sha256 } from './digest.js';
import { factsOf } from './facts.js';
import { Failure, error, info, warning } from './report.js';
import { state, stop } from './service.js';
import * as userdir from './userdir.js';
import { compare } from './version.js';

export async function planRestore(targets, snapshot, request, run) {
  const config = parse(request.config);
  const facts = factsOf(request.facts);
  const source = userdir.require(snapshot);
  const target = userdir.require(targets);
  if (![userdir.SETTINGS, userdir.RUNTIME, userdir.CONFIG, facts.flowFile].some((path) => path && userdir.has(source, path))) {
    throw new Failure('unsupported', 'not-found', 'the snapshot holds no user directory of a Node-RED');
  }
  const plan = { findings: [], safeguards: [], before: [], placements: [], after: [], state: new Uint8Array() };
  compareVersions(facts.version, userdir.version(target), plan.findings);
  const instanceId = await identity(request, facts.instanceId, target, plan.findings);
  await compareSecrets(config, facts.credentials, source, target, plan.findings);
  if (!request.rehearsal) stopTarget(config, target, run, plan);
  if (facts.modules?.length > 0) {
    plan.findings.push(
      info('modules.install', `The snapshot does not hold the modules that the flows need: ${facts.modules.join(', ')}.`, {
        remedy: `Run \`npm install\` in the user directory (\`npm ci\` where it holds a package-lock.json) before Node-RED starts.`,
      }),
    );
  }
  plan.placements.push({ name: userdir.ROOT, after: [], content: { tag: 'tree', val: userdir.ROOT } });
  plan.state = new TextEncoder().encode(JSON.stringify({ instanceId, keepSettings: keepsSettings(config, target) }));
  return plan;
}

function compareVersions(saved, present, findings) {
  const order = compare(saved, present);
  if (present === undefined) {
    findings.push(info('version.needed', `The target holds no Node-RED yet: start it with version ${saved ?? '(unknown)'} or a newer one.`));
  } else if (order === undefined) {
    findings.push(warning('version.unknown', `Whether the target's Node-RED (${present}) is older than the snapshot's (${saved ?? 'unknown'}) can’t be told.`));
  } else if (order > 0) {
    findings.push(
      error('target.older', `The snapshot is of Node-RED ${saved}, and the target has ${present}, which may not know its nodes and settings.`, {
        remedy: `Update the target to ${saved} or newer first.`,
      }),
    );
  }
}

/** The id that a clone gets in the snapshot's place; null where the snapshot's stays. Node-RED makes it by chance (runtime/lib/index.js). */
async function identity(request, saved, target, findings) {
  const present = userdir.runtimeConfig(target).instanceId;
  if (request.intent !== 'clone') {
    if (present !== undefined && saved !== null && present !== saved) {
      findings.push(
        request.intent === 'recover'
          ? error('identity.differs', 'The target is another Node-RED than the one that was saved.', {
              remedy: 'Choose another target, or `--intent migrate` to put this one in its place.',
            })
          : info('identity.replaced', "The target's own id gives way to the snapshot's."),
      );
    }
    return null;
  }
  findings.push(
    warning('clone.flows', 'The clone’s flows act on the same devices and services as the original’s, with the same credentials and client ids.', {
      remedy: 'Start it with `node-red --safe`, which starts no flow, and change there what must differ.',
    }),
  );
  if (saved === null) return null;
  if (present !== undefined && present !== saved) return present;
  // It follows from what it is asked for, so a plan that is made twice within a second is the same.
  return (await sha256(saved, target.location(), String(request.now.seconds))).slice(0, 16);
}

/** Whether the target's settings.js stays. */
function keepsSettings(config, target) {
  return config.settings === 'target' && userdir.has(target, userdir.SETTINGS);
}

/**
 * Refuses to part credentials from their secret. Only one that settings.js says, or takes from elsewhere, can be lost: the one that Node-RED made itself comes along in
 * .config.runtime.json, and Node-RED takes it before any other (runtime/lib/nodes/credentials.js, load).
 */
async function compareSecrets(config, credentials, source, target, findings) {
  if (!credentials?.encrypted || !['settings', 'elsewhere', 'none'].includes(credentials.key) || !userdir.has(target, userdir.SETTINGS)) return;
  const theirs = key(target, config.credential_secret);
  let same;
  // Without a secret in settings.js Node-RED would make itself a new one, and what it made at the target does not survive the restore.
  if (['off', 'none', 'generated'].includes(theirs.kind)) same = false;
  else if (theirs.secret !== undefined && credentials.check !== undefined) same = (await checkValue(theirs.secret, credentials.salt)) === credentials.check;
  const path = `${userdir.ROOT}/${userdir.SETTINGS}`;
  if (same === false && config.settings !== 'snapshot') {
    findings.push(
      error('secret.differs', "The target's settings.js does not have the secret that the snapshot's credentials are encrypted with, so they would be lost.", {
        remedy: 'Give the target’s settings.js the same `credentialSecret` and set `settings=target`, or set `settings=snapshot` to have the snapshot’s settings.js there.',
        path,
      }),
    );
  } else if (same === undefined && keepsSettings(config, target)) {
    findings.push(
      warning('secret.unknown', "Whether the target's settings.js has the secret that the snapshot's credentials are encrypted with can’t be told.", {
        remedy: 'Set `credential_secret` to the one that the target will have, here and for backups.',
        path,
      }),
    );
  }
}

/** Has the target's Node-RED stopped. It stays so: what was restored is looked at, and modules are installed, first. */
function stopTarget(config, target, run, plan) {
  if (config.container !== undefined) {
    const now = state(config.container, run);
    if (now === 'absent') plan.findings.push(containerMissing(config.container));
    else if (now !== 'stopped') plan.before.push(stop(config.container, { thaw: false }));
  } else if (!config.stopped && userdir.has(target, userdir.RUNTIME)) {
    plan.findings.push(
      warning('target.running', 'Whether Node-RED runs at the target can’t be seen from its files. One that runs writes over what is restored.', {
        remedy: 'Set `container` so that it is stopped first, or stop it yourself and set `stopped=true`.',
      }),
    );
  }
  const start = config.container === undefined ? 'Start it' : `\`docker start ${config.container}\``;
  plan.findings.push(info('start', 'Node-RED stays stopped after the restore.', { remedy: `${start} when you have looked at the result.` }));
}
