/** The container that Node-RED runs in: whether it runs, how it is stopped and started. */

const TIMEOUT = 300;

function command(...argv) {
  return { argv, environment: [], stdin: undefined, descriptors: [], timeout: TIMEOUT };
}

/**
 * `running`, `stopped`, `absent`, or `unknown`, which is to be taken as running. `run` is the contract's `process.run`.
 */
export function state(container, run) {
  // A single brace is doubled in a command, because `{…}` is a placeholder there.
  const look = command('docker', 'inspect', '-f', '{{{{.State.Running}}}}', container);
  let output;
  try {
    output = run(look);
  } catch (failure) {
    // What the contract's functions fail with carries a payload; all else is a fault of this program.
    if (failure?.payload === undefined) throw failure;
    return 'unknown';
  }
  const said = (bytes) => new TextDecoder().decode(bytes).trim().toLowerCase();
  if (output.code === 0) return said(output.stdout) === 'false' ? 'stopped' : 'running';
  return said(output.stderr).includes('no such') ? 'absent' : 'unknown';
}

/** Stops the container; with `thaw` it is started again, whatever happens. */
export function stop(container, { thaw }) {
  return {
    id: 'stop',
    title: `Stop the container ${container}`,
    action: { tag: 'run', val: command('docker', 'stop', container) },
    undo: thaw ? { tag: 'run', val: command('docker', 'start', container) } : undefined,
    capture: false,
  };
}
