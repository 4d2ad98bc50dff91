/**
 * What can be told from the text of settings.js, which is a program and is not run: its entries `flowFile` and `credentialSecret`, where they are
 * written as plain values.
 */

// A comment, a string, a template, a regular expression where a value may stand, a word, or one character.
const TOKEN = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'|`(?:\\[\s\S]|[^`\\])*`|[\w$]+|\S/g;
const REGEX = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/\w*/y;

function tokens(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    let [token] = match;
    if (token.startsWith('//') || token.startsWith('/*')) continue;
    if (token === '/' && (found.length === 0 || '(,=:[!&|?{};'.includes(found.at(-1)))) {
      REGEX.lastIndex = match.index;
      const regex = REGEX.exec(text);
      if (regex !== null) {
        [token] = regex;
        TOKEN.lastIndex = REGEX.lastIndex;
      }
    }
    found.push(token);
  }
  return found;
}

/**
 * An entry at the top of the object that is exported: `{ kind: 'absent' }`, `{ kind: 'text', value }`, `{ kind: 'false' }`, or
 * `{ kind: 'expression' }` where only running the program would tell.
 */
export function entry(text, name) {
  const all = tokens(text);
  let depth = 0;
  for (const [index, token] of all.entries()) {
    if ('{[('.includes(token)) depth += 1;
    if ('}])'.includes(token)) depth -= 1;
    const named = token === name || token === `'${name}'` || token === `"${name}"`;
    if (depth === 1 && named && all[index + 1] === ':') return value(all[index + 2], all[index + 3]);
  }
  return { kind: 'absent' };
}

function value(token = '', next = '') {
  if (next !== ',' && next !== '}') return { kind: 'expression' };
  if (token === 'false') return { kind: 'false' };
  const quoted = /^(["'`])([^\\]*)\1$/.exec(token);
  const plain = quoted !== null && !(quoted[1] === '`' && quoted[2].includes('${'));
  return plain ? { kind: 'text', value: quoted[2] } : { kind: 'expression' };
}
