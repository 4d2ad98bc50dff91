/** The Copal plugin `{{publisher}}/{{name}}`: backs up and restores {{name}}, a directory of notes. */

export * as app from './app.js';
export * as transform from './transform.js';
