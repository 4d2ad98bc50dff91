import assert from 'node:assert/strict';
import { test } from 'node:test';

import { planBackup } from '../src/backup.js';
import { planRestore } from '../src/restore.js';
import { verify } from '../src/verify.js';
import { compare } from '../src/version.js';
import { INSPECT, MemoryTree, NOW, answering, codes, denied, passed } from './support.js';

const EMPTY = new MemoryTree({});
const settings = (secret) => `module.exports = { flowFile: 'flows.json', ${secret === undefined ? '' : `credentialSecret: ${secret}`} }`;
const SECRET = "'not a secret, this is a sample'";

async function restore({ target = EMPTY, source = MemoryTree.sample(), intent = 'recover', rehearsal = false, config = {}, run = denied, noted = {} } = {}) {
  const backup = await planBackup([source], { config: JSON.stringify(noted), now: NOW }, denied);
  const request = { intent, rehearsal, config: JSON.stringify(config), now: NOW, facts: backup.facts, streams: [] };
  const plan = await planRestore([target], [source], request, run);
  return { ...plan, facts: backup.facts, codes: codes(plan.findings) };
}

test('a recovery changes nothing', async () => {
  const plan = await restore();
  assert.deepEqual(plan.codes, { 'version.needed': 'info', 'modules.install': 'info', start: 'info' });
  assert.deepEqual(passed(MemoryTree.sample(), 'restore', plan.state).contents, MemoryTree.sample().contents);
});

test('an older target is refused', async () => {
  for (const [version, finding] of [['4.0.9', 'target.older'], ['4.1.0-beta.2', 'target.older'], ['4.1.0', undefined], ['5.0.4', undefined], ['odd', 'version.unknown']]) {
    const target = new MemoryTree({ '.config.nodes.json': { 'node-red': { version } } });
    const found = Object.keys((await restore({ target })).codes).filter((code) => !['start', 'modules.install'].includes(code));
    assert.deepEqual(found, finding === undefined ? [] : [finding], version);
  }
});

test('versions are ordered as they were released', () => {
  const ordered = ['0.20.8', '1.0.0-beta.2', '1.0.0-beta.10', '1.0.0-beta.10.1', '1.0.0-rc', '1.0.0', '1.0.1', '4.10.0', '10.0.0'];
  for (const [index, one] of ordered.entries()) {
    for (const [other, two] of ordered.entries()) assert.equal(Math.sign(compare(one, two)), Math.sign(index - other), `${one} ${two}`);
  }
  assert.equal(compare('latest', '1.0.0'), undefined);
});

test('another Node-RED is not recovered over', async () => {
  const target = new MemoryTree({ '.config.runtime.json': { instanceId: '0000000000000000' } });
  assert.equal((await restore({ target })).codes['identity.differs'], 'error');
  assert.equal((await restore({ target, intent: 'migrate' })).codes['identity.replaced'], 'info');
});

test('a clone has an id of its own, however its file is cut', async () => {
  const own = new MemoryTree({ '.config.runtime.json': { instanceId: '0000000000000000' } });
  const source = MemoryTree.sample({ '.config.runtime.json': { instanceId: '7f3a91c25be8d046', _credentialSecret: 'made' } });
  for (const target of [own, EMPTY]) {
    const plan = await restore({ target, source, intent: 'clone' });
    assert.deepEqual((await restore({ target, source, intent: 'clone' })).state, plan.state);
    const outcomes = [1, 7, 1 << 20].map((chunk) => passed(source, 'restore', plan.state, chunk).text('.config.runtime.json'));
    assert.deepEqual(new Set(outcomes).size, 1);
    const { instanceId, _credentialSecret } = JSON.parse(outcomes[0]);
    assert.equal(_credentialSecret, 'made');
    assert.match(instanceId, /^[0-9a-f]{16}$/);
    assert.notEqual(instanceId, '7f3a91c25be8d046');
    assert.equal(instanceId === '0000000000000000', target === own);
  }
});

test('credentials are not parted from their secret', async () => {
  const refused = { 'secret.differs': 'error' };
  const untold = { 'secret.unknown': 'warning' };
  for (const [source, target, config, expected] of [
    [SECRET, SECRET, {}, {}],
    [SECRET, "'another'", {}, refused],
    [SECRET, "'another'", { settings: 'target' }, refused],
    [SECRET, "'another'", { settings: 'snapshot' }, {}],
    [SECRET, undefined, { settings: 'target' }, refused],
    [SECRET, 'false', { settings: 'target' }, refused],
    [SECRET, 'process.env.S', { settings: 'target' }, untold],
    [SECRET, 'process.env.S', { settings: 'target', credential_secret: 'another' }, refused],
    [SECRET, 'process.env.S', { settings: 'target', credential_secret: 'not a secret, this is a sample' }, {}],
    ['process.env.S', 'process.env.S', { settings: 'target' }, untold],
    // The secret that Node-RED made comes along.
    [undefined, "'another'", { settings: 'target' }, {}],
  ]) {
    const plan = await restore({
      source: MemoryTree.sample({ 'settings.js': settings(source), ...(source === undefined && { '.config.runtime.json': { _credentialSecret: 'made' } }) }),
      target: new MemoryTree({ 'settings.js': settings(target) }),
      config,
    });
    const found = Object.entries(plan.codes).filter(([code]) => code.startsWith('secret.'));
    assert.deepEqual(Object.fromEntries(found), expected, `${source} ${target} ${JSON.stringify(config)}`);
  }
  const target = new MemoryTree({ 'settings.js': settings(), '.config.runtime.json': { _credentialSecret: 'made there' } });
  assert.deepEqual((await restore({ target, config: { settings: 'target' } })).codes['secret.differs'], 'error');
});

test('the target’s settings.js stays where that is asked for', async () => {
  const target = new MemoryTree({ 'settings.js': settings(SECRET) });
  for (const [config, kept] of [[{}, false], [{ settings: 'snapshot' }, false], [{ settings: 'target' }, true]]) {
    const { state } = await restore({ target, config });
    assert.equal(passed(MemoryTree.sample(), 'restore', state).contents.has('settings.js'), !kept);
  }
  const { state } = await restore({ config: { settings: 'target' } });
  assert.ok(passed(MemoryTree.sample(), 'restore', state).contents.has('settings.js'));
});

test('a target that may run is stopped, but not in a rehearsal', async () => {
  const target = new MemoryTree({ '.config.runtime.json': {} });
  assert.equal((await restore({ target })).codes['target.running'], 'warning');
  assert.equal((await restore({ target, config: { stopped: true } })).codes['target.running'], undefined);
  const running = { target, config: { container: 'nodered' }, run: answering(INSPECT, { code: 0, stdout: 'true' }) };
  const [step] = (await restore(running)).before;
  assert.equal(step.undo, undefined);
  assert.deepEqual((await restore({ ...running, rehearsal: true })).before, []);
});

test('facts that are damaged are refused, and missing ones are not', async () => {
  const request = (facts) => ({ intent: 'recover', rehearsal: false, config: '{}', now: NOW, facts, streams: [], captures: [] });
  for (const [name, value] of [['version', '7'], ['nodes', '"x"'], ['credentials', '{}'], ['modules', '[1]'], ['flowFile', '{']]) {
    await assert.rejects(planRestore([EMPTY], [MemoryTree.sample()], request([{ name, value }]), denied), ({ payload }) => payload.kind === 'corrupt', name);
  }
  await planRestore([EMPTY], [MemoryTree.sample()], request([]), denied);
  assert.deepEqual(codes(await verify([EMPTY], [MemoryTree.sample()], request([]))), { 'verify.whole': 'info' });
});

test('a snapshot of something else is refused', async () => {
  const request = { intent: 'recover', rehearsal: false, config: '{}', now: NOW, facts: [], streams: [] };
  await assert.rejects(planRestore([EMPTY], [new MemoryTree({ a: '' })], request, denied), ({ payload }) => payload.kind === 'unsupported');
});

test('a restored Node-RED is whole, or what is wrong with it is told', async () => {
  const { facts } = await restore();
  const look = async (target, intent = 'recover') => codes(await verify([target], [MemoryTree.sample()], { intent, rehearsal: false, config: '{}', facts, captures: [] }));
  assert.deepEqual(await look(MemoryTree.sample()), { 'verify.whole': 'info' });
  assert.deepEqual(await look(MemoryTree.sample({ 'node_modules/node-red-contrib-example/package.json': null })), { 'verify.whole': 'info', 'verify.modules': 'info' });
  for (const [changes, code, severity = 'error'] of [
    [{ 'flows.json': '[]' }, 'verify.flows'],
    [{ 'flows.json': null }, 'verify.flows'],
    [{ '.config.nodes.json': null }, 'verify.version'],
    [{ '.config.runtime.json': null }, 'verify.identity'],
    [{ 'flows_cred.json': '{}' }, 'verify.credentials'],
    [{ 'settings.js': settings("'another'") }, 'verify.secret'],
    [{ 'settings.js': settings('process.env.S') }, 'verify.secret-unknown', 'warning'],
  ]) {
    const { 'verify.whole': _, ...found } = await look(MemoryTree.sample(changes));
    assert.deepEqual(found, { [code]: severity }, JSON.stringify(changes));
  }
  assert.deepEqual(await look(MemoryTree.sample(), 'clone'), { 'verify.identity': 'error' });
  assert.deepEqual(await look(MemoryTree.sample({ '.config.runtime.json': { instanceId: 'x' } }), 'clone'), { 'verify.whole': 'info' });
});
