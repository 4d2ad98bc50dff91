/** Node-RED's versions, such as `4.1.0` and `5.0.0-beta.2`. */

const VERSION = /^v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:-([0-9A-Za-z.-]{1,64}))?$/;

/** Below 0 where the first comes before the second, 0 where they are equal; undefined where one is no version. */
export function compare(one, other) {
  const [left, right] = [VERSION.exec(one ?? ''), VERSION.exec(other ?? '')];
  if (left === null || right === null) return undefined;
  for (const part of [1, 2, 3]) {
    if (left[part] !== right[part]) return Number(left[part]) - Number(right[part]);
  }
  // A version before a release comes before it.
  if (left[4] === undefined || right[4] === undefined) return Number(left[4] === undefined) - Number(right[4] === undefined);
  return before(left[4].split('.'), right[4].split('.'));
}

function before(left, right) {
  for (const [index, one] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    if (one === other) continue;
    const numbers = [one, other].every((part) => /^\d+$/.test(part));
    if (numbers) return Number(one) - Number(other);
    return one < other ? -1 : 1;
  }
  return left.length - right.length;
}
