// Makes a component of a plugin's modules: node --input-type=module --eval … -- SOURCE WIT OUT, in the project's folder.
import { writeFile } from 'node:fs/promises';

import { componentize } from '@bytecodealliance/componentize-js';

const [sourcePath, witPath, out] = process.argv.slice(1);
const { component } = await componentize({
  sourcePath,
  witPath,
  worldName: 'plugin',
  // What a plugin says must follow from what it is asked. So chance and time are those of the build; `console` stays, for the host's log.
  disableFeatures: ['random', 'clocks', 'http', 'fetch-event'],
});
await writeFile(out, component);
