import assert from 'node:assert/strict';
import { test } from 'node:test';

import { app, transform } from '../src/plugin.js';
import { MemoryTree, NOW } from './support.js';

const RUNNING = { lock: '4711\n' };
const FACTS = [{ name: 'format', value: '3' }];

const backup = (tree, config = {}) => app.planBackup([tree], { config: JSON.stringify(config), now: NOW });

function restore(target, { rehearsal = false, ...config } = {}) {
  const request = { intent: 'recover', config: JSON.stringify(config), now: NOW, facts: FACTS, streams: [], rehearsal };
  return app.planRestore([target], [MemoryTree.sample()], request);
}

function verify(target) {
  const request = { intent: 'recover', config: '{}', facts: FACTS, captures: [], rehearsal: false };
  return app.verify([target], [MemoryTree.sample()], request);
}

const codes = (findings) => findings.map(({ code }) => code);

test('the application is recognised by its files', () => {
  assert.equal(app.detect(MemoryTree.sample()).root, 'home');
  for (const other of [{}, { 'notes/a': '' }, { 'notes/a': '', 'settings.ini': 'title = x' }]) {
    assert.equal(app.detect(new MemoryTree(other)), undefined);
  }
});

test('drafts and the lock are left out', () => {
  const entries = MemoryTree.sample(RUNNING).list('');
  const pass = transform.Pass.start('backup', backup(MemoryTree.sample()).state);
  const verdicts = pass.classify('home', entries);
  assert.deepEqual(entries.filter((_, index) => verdicts[index].tag === 'skip').map(({ path }) => path), ['drafts', 'lock']);
});

test('an application that runs is stopped or refused', () => {
  assert.deepEqual(backup(MemoryTree.sample()).quiesce, []);
  assert.deepEqual(codes(backup(MemoryTree.sample(RUNNING)).findings), ['{{name}}.running']);
  const [step] = backup(MemoryTree.sample(RUNNING), { unit: 'notes.service' }).quiesce;
  assert.deepEqual(step.action.val.argv, ['systemctl', 'stop', 'notes.service']);
  assert.deepEqual(step.undo.val.argv, ['systemctl', 'start', 'notes.service']);
  assert.equal(restore(new MemoryTree(RUNNING), { unit: 'notes.service' }).before.length, 1);
  assert.deepEqual(restore(new MemoryTree(RUNNING), { unit: 'notes.service', rehearsal: true }).before, []);
});

test('a target with newer notes is refused', () => {
  assert.deepEqual(restore(new MemoryTree({})).findings, []);
  assert.deepEqual(codes(restore(new MemoryTree({ 'settings.ini': 'format = 4' })).findings), ['{{name}}.target.newer']);
});

test('what was restored must be what was saved', () => {
  assert.deepEqual(verify(MemoryTree.sample()), []);
  assert.deepEqual(codes(verify(new MemoryTree({}))), ['{{name}}.verify.missing']);
  assert.deepEqual(codes(verify(new MemoryTree({ 'settings.ini': 'format = 2' }))), ['{{name}}.verify.format']);
});

test('what can’t be saved fails with its kind', () => {
  for (const [tree, config, kind] of [
    [new MemoryTree({}), {}, 'missing'],
    [MemoryTree.sample({ 'settings.ini': 'format = new' }), {}, 'corrupt'],
    [MemoryTree.sample(), { unit: '--now' }, 'invalid-config'],
  ]) {
    assert.throws(() => backup(tree, config), ({ payload }) => payload.kind === kind);
  }
});

test('what is no configuration is refused', () => {
  for (const config of ['null', '[]', '7', '{', '{"unit": 7}', '{"unti": "x"}']) {
    assert.throws(() => app.planBackup([MemoryTree.sample()], { config, now: NOW }), ({ payload }) => payload.kind === 'invalid-config', config);
  }
});
