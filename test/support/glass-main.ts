// One life of what was opened by break-glass, in a process of its own: open, use once more, give back, tell the broker. It says what it
// has done, each as soon as it is done; tests kill it at any moment. Built into dist/test/glass.js.
import { closeTarget } from '../../src/client/break-glass/close.ts';
import { openPack, useOpened } from '../../src/client/break-glass/open.ts';
import { openClient } from '../../src/client/client.ts';
import { createClientContext } from '../../src/client/context.ts';

const target = { resource: 'db-host', role: 'operator' };

async function main(): Promise<void> {
  const context = createClientContext({
    env: process.env,
    profile: 'default',
    now: Date.now,
    warn: (message) => say({ did: 'warn', message }),
    interactive: false,
    askPassphrase: undefined,
    keychainChild: [],
  });
  const client = await openClient(context);
  const input = { reason: 'it is down', incident: null, drill: false, probes: [], tool: 'ssh' };
  const opened = await openPack(client, { target, ...input });
  const { pack, slot } = opened.use;
  say({ did: 'open', pack, slot });
  await useOpened(client, target, 'scp');
  say({ did: 'use', pack, slot });
  await closeTarget(client, target, 'released');
  say({ did: 'close', pack, slot });
  await client.broker.get('/v1/me');
  say({ did: 'told' });
  client.broker.close();
}

function say(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

main().catch((error: Error) => {
  say({ did: 'failed', message: error.message, stack: error.stack });
  process.exitCode = 1;
});
