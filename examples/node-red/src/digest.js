/** SHA-256 of texts, in hex. */

const encoder = new TextEncoder();

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export async function sha256(...texts) {
  const bytes = encoder.encode(texts.join('\0'));
  return hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
}
