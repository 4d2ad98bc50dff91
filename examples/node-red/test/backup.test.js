import assert from 'node:assert/strict';
import { test } from 'node:test';

import { planBackup } from '../src/backup.js';
import { detect } from '../src/detect.js';
import { entry } from '../src/settings-js.js';
import { Pass } from '../src/transform.js';
import { INSPECT, MemoryTree, NOW, answering, codes, denied, passed } from './support.js';

const plan = (tree, config = {}, run = denied) => planBackup([tree], { config: JSON.stringify(config), now: NOW }, run);
const factsOf = ({ facts }) => Object.fromEntries(facts.map(({ name, value }) => [name, JSON.parse(value)]));

test('what npm brings again, sessions and unfinished files are left out', async () => {
  const tree = MemoryTree.sample({ 'flows.json.$$$': '[', 'lib/node_modules/kept.json': '{}' });
  const saved = passed(tree, 'backup', (await plan(tree)).state);
  assert.deepEqual(saved.paths(), [
    '.config.nodes.json',
    '.config.runtime.json',
    '.config.users.json',
    'context/global/global.json',
    'flows.json',
    'flows_cred.json',
    'lib/flows/hourly.json',
    'lib/node_modules/kept.json',
    'package.json',
    'settings.js',
  ]);
});

test('the facts tell what a restore compares, and no secret', async () => {
  const backup = await plan(MemoryTree.sample(), { stopped: true });
  const { credentials, ...others } = factsOf(backup);
  assert.deepEqual(others, { version: '4.1.0', instanceId: '7f3a91c25be8d046', flowFile: 'flows.json', nodes: 4, modules: ['node-red-contrib-example'] });
  const { salt, check, ...noted } = credentials;
  assert.deepEqual(noted, { file: 'flows_cred.json', encrypted: true, key: 'settings' });
  assert.match(salt, /^[0-9a-f]{16}$/);
  assert.match(check, /^[0-9a-f]{64}$/);
  assert.deepEqual(codes(backup.findings), { secret: 'info', 'modules.left-out': 'info' });
  assert.equal(JSON.stringify(backup.facts).includes('not a secret'), false);
});

test('the secret is looked for where Node-RED has it', async () => {
  const settings = (line) => `module.exports = { flowFile: 'flows.json', ${line} }`;
  for (const [line, changes, config, kind, finding] of [
    ["credentialSecret: 'x'", {}, {}, 'settings', 'secret'],
    ['', { '.config.runtime.json': { _credentialSecret: 'made' } }, {}, 'generated', 'secret'],
    ['', { '.config.runtime.json': null, '.config.json': { _credentialSecret: 'made' } }, {}, 'generated', 'secret'],
    ['credentialSecret: process.env.SECRET', {}, {}, 'elsewhere', 'secret.elsewhere'],
    ['credentialSecret: process.env.SECRET', {}, { credential_secret: 'x' }, 'elsewhere', 'secret.elsewhere'],
    ['', {}, {}, 'none', 'secret.elsewhere'],
    ['credentialSecret: false', {}, {}, 'off', 'secret.off'],
    ['', { '.config.projects.json': { activeProject: 'garden' } }, {}, 'project', 'secret'],
  ]) {
    const backup = await plan(MemoryTree.sample({ 'settings.js': settings(line), ...changes }), config);
    assert.equal(factsOf(backup).credentials.key, kind, line);
    assert.ok(finding in codes(backup.findings), `${line} ${JSON.stringify(codes(backup.findings))}`);
  }
});

test('flows are found where settings.js says, and told where they are not', async () => {
  const settings = (flowFile) => ({ 'settings.js': `module.exports = { flowFile: ${flowFile} }`, 'flows.json': null });
  const flows = async (changes) => factsOf(await plan(MemoryTree.sample(changes))).flowFile;
  assert.equal(await flows({ ...settings("'sub/mine.json'"), 'sub/mine.json': '[]' }), 'sub/mine.json');
  assert.equal(await flows({ 'settings.js': null, 'flows.json': null, 'flows_host.json': '[]', 'flows_host_cred.json': '{}' }), 'flows_host.json');
  const elsewhere = await plan(MemoryTree.sample(settings("'/srv/flows.json'")));
  assert.equal(codes(elsewhere.findings)['flows.elsewhere'], 'warning');
  const unreadable = await plan(MemoryTree.sample({ 'flows.json': '{' }));
  assert.equal(codes(unreadable.findings)['flows.unreadable'], 'warning');
});

test('a running container is stopped and started again, a stopped one stays so', async () => {
  const config = { container: 'nodered' };
  const tree = MemoryTree.sample();
  for (const run of [denied, answering(INSPECT, { code: 0, stdout: 'true\n' }), answering(INSPECT, { code: 1, stderr: 'Cannot connect' })]) {
    const [step] = (await plan(tree, config, run)).quiesce;
    assert.deepEqual(step.action.val.argv, ['docker', 'stop', 'nodered']);
    assert.deepEqual(step.undo.val.argv, ['docker', 'start', 'nodered']);
  }
  assert.deepEqual((await plan(tree, config, answering(INSPECT, { code: 0, stdout: 'false\n' }))).quiesce, []);
  const absent = await plan(tree, config, answering(INSPECT, { code: 1, stderr: 'Error: No such object: nodered' }));
  assert.equal(codes(absent.findings)['container.missing'], 'error');
  assert.equal(codes((await plan(tree)).findings)['running.unknown'], 'warning');
});

test('a fault of a probe is not taken for a denial', async () => {
  const broken = () => {
    throw new TypeError('a fault');
  };
  await assert.rejects(plan(MemoryTree.sample(), { container: 'nodered' }, broken), TypeError);
});

test('another directory is no Node-RED', async () => {
  await assert.rejects(plan(new MemoryTree({ a: '' })), ({ payload }) => payload.kind === 'unsupported');
  assert.equal(detect(new MemoryTree({ a: '' })), undefined);
  assert.equal(detect(new MemoryTree({ 'settings.js': 'x = {}' })), undefined);
});

test('it is recognised by its own files', () => {
  const { version, confidence } = detect(MemoryTree.sample());
  assert.deepEqual({ version, confidence }, { version: '4.1.0', confidence: 99 });
  assert.equal(detect(new MemoryTree({ 'flows.json': '[]' })).confidence, 19);
});

test('a setting that does not fit is named', async () => {
  for (const [config, key] of [
    [{ container: 1 }, 'container'],
    [{ container: '--rm' }, 'container'],
    [{ contaner: 'x' }, 'contaner'],
    [{ constructor: 'x' }, 'constructor'],
    [{ settings: 'both' }, 'settings'],
  ]) {
    await assert.rejects(plan(MemoryTree.sample(), config), ({ payload }) => payload.kind === 'invalid-config' && payload.message.includes(`\`${key}\``));
  }
  for (const config of ['null', '[]', '7', '{', '']) {
    await assert.rejects(planBackup([MemoryTree.sample()], { config, now: NOW }, denied), ({ payload }) => payload.kind === 'invalid-config', config);
  }
});

test('a state that is damaged is refused', () => {
  for (const state of ['', '{', 'null', '7']) {
    assert.throws(() => Pass.start('restore', new TextEncoder().encode(state)), ({ payload }) => payload.kind === 'internal', state);
  }
});

test('plain entries of settings.js are read, and nothing else is taken for one', () => {
  for (const [text, expected] of [
    [`module.exports = { credentialSecret: "a" }`, { kind: 'text', value: 'a' }],
    [`module.exports = { 'credentialSecret' : 'a', }`, { kind: 'text', value: 'a' }],
    ['module.exports = { credentialSecret: `a`, }', { kind: 'text', value: 'a' }],
    ['module.exports = { credentialSecret: `${a}`, }', { kind: 'expression' }],
    [`module.exports = { credentialSecret: 'a' + b }`, { kind: 'expression' }],
    [`module.exports = { credentialSecret: 'a\\'b' }`, { kind: 'expression' }],
    [`module.exports = { credentialSecret: false }`, { kind: 'false' }],
    [`module.exports = { credentialSecret }`, { kind: 'absent' }],
    [`module.exports = { // credentialSecret: 'a'\n /* credentialSecret: 'b', */ }`, { kind: 'absent' }],
    [`module.exports = { other: { credentialSecret: 'a' }, x: "credentialSecret: 'b'" }`, { kind: 'absent' }],
    [`module.exports = { x: /"\\/[/'{]/, credentialSecret: 'a' }`, { kind: 'text', value: 'a' }],
    [`module.exports = { u: 'http://x', credentialSecret: 'a' }`, { kind: 'text', value: 'a' }],
    ['', { kind: 'absent' }],
  ]) {
    assert.deepEqual(entry(text, 'credentialSecret'), expected, text);
  }
});
