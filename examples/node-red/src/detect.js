/** Recognises a user directory by Node-RED's own files. */

import { flowFiles } from './credentials.js';
import { entry } from './settings-js.js';
import * as userdir from './userdir.js';

export function detect(root) {
  const because = [];
  let confidence = 0;
  const found = (reason, more) => {
    because.push(reason);
    confidence += more;
  };
  if (userdir.version(root) !== undefined) found(`${userdir.NODES} lists Node-RED's own nodes`, 60);
  const settings = userdir.text(root, userdir.SETTINGS);
  // Many programs have a settings.js; this is one of Node-RED's entries.
  if (settings !== undefined && entry(settings, 'functionGlobalContext').kind !== 'absent') found(`there is Node-RED's ${userdir.SETTINGS}`, 20);
  const flows = flowFiles(root)?.flows;
  if (flows !== undefined) found(`there are flows, ${flows}`, 19);
  if (confidence === 0) return undefined;
  return { application: 'Node-RED', version: userdir.version(root), root: userdir.ROOT, confidence, because };
}
