/** Looks at what a restore has left. */

import { count } from './backup.js';
import { parse } from './config.js';
import { checkValue, isEncrypted, key } from './credentials.js';
import { factsOf } from './facts.js';
import { error, info, warning } from './report.js';
import * as userdir from './userdir.js';

export async function verify(targets, snapshot, request) {
  const config = parse(request.config);
  const facts = factsOf(request.facts);
  const target = userdir.require(targets);
  const findings = [];
  const at = (path) => ({ path: `${userdir.ROOT}/${path}` });
  if (facts.nodes !== null && count(userdir.json(target, facts.flowFile)) !== facts.nodes) {
    findings.push(error('verify.flows', `The file of the flows does not hold the ${facts.nodes} nodes that were saved.`, at(facts.flowFile)));
  }
  if (facts.version !== null && userdir.version(target) !== facts.version) {
    findings.push(error('verify.version', `The target's node registry is not that of Node-RED ${facts.version}.`, at(userdir.NODES)));
  }
  const instanceId = userdir.runtimeConfig(target).instanceId ?? null;
  if (facts.instanceId !== null && (instanceId === facts.instanceId) === (request.intent === 'clone')) {
    findings.push(error('verify.identity', `The target's id is ${request.intent === 'clone' ? "the original's" : 'not the snapshot’s'}.`, at(userdir.RUNTIME)));
  }
  findings.push(...(await credentials(facts.credentials, target, config, at)));
  if (!findings.some(({ severity }) => severity === 'error')) {
    findings.push(info('verify.whole', 'Flows, credentials and settings are those of the snapshot.'));
  }
  const missing = (facts.modules ?? []).filter((name) => target.stat(`${userdir.MODULES}/${name}`) === undefined);
  if (missing.length > 0) {
    findings.push(info('verify.modules', `Not installed yet: ${missing.join(', ')}.`, { remedy: 'Run `npm install` in the user directory before Node-RED starts.' }));
  }
  return findings;
}

/** Whether the credentials are there, and the secret that they are encrypted with too. */
async function credentials(noted, target, config, at) {
  if (!noted?.encrypted) return [];
  if (!isEncrypted(userdir.json(target, noted.file))) {
    return [error('verify.credentials', 'The file of the credentials is not there, or not what was saved.', at(noted.file))];
  }
  const { secret } = key(target, config.credential_secret);
  if (noted.check === undefined || secret === undefined) {
    return noted.key === 'project' ? [] : [warning('verify.secret-unknown', 'Whether the secret is there that the credentials are encrypted with can’t be told.', at(noted.file))];
  }
  if ((await checkValue(secret, noted.salt)) !== noted.check) {
    return [error('verify.secret', 'The credentials are encrypted with another secret than the target has.', at(noted.file))];
  }
  return [];
}
