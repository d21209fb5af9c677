// Chains that run in seconds of real time, for brokers that are processes of their own.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RequestView } from '../../src/protocol/messages.ts';
import { atEnd } from '../support/at-end.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';
import { type HttpReceiver, startWebhookReceiver } from '../support/receivers.ts';
import { CHAINS, catalogueWith, policyWith } from './chain-world.ts';
import { migrateStore, POSTGRES_STORE } from './second-broker.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const QUICK: Readonly<Record<string, string>> = {
  ...CHAINS,
  steps: '{ stages: [{ approvers: [ben], wait: 1s }, { approvers: [carla], wait: 1s }], expires: 1h }',
  override: '{ stages: [{ approvers: [ben], wait: 1s, then: auto-override }], expires: 1h }',
};

export interface QuickWorld {
  installation: Installation;
  hook: HttpReceiver;
  ana: TestDevice;
  dora: TestDevice;
  /** Ids of the notices that came in, with repeats, about one request. */
  told(requestId: string): string[];
}

/** ana and dora are enrolled, and no broker runs. */
export async function startQuickWorld(kind: 'sqlite' | 'postgres'): Promise<QuickWorld> {
  const hook = await startWebhookReceiver({ secret: SECRET });
  atEnd(hook.close);
  const notify = `notify: { hook: { type: webhook, url: "${hook.url}", secret: { file: secrets/hook } } }\n`;
  const installation = await install({
    catalogue: catalogueWith(QUICK, notify),
    policy: policyWith(),
    ...(kind === 'postgres' && { store: POSTGRES_STORE }),
  });
  mkdirSync(join(installation.directory, 'secrets'), { recursive: true, mode: 0o700 });
  writeFileSync(join(installation.directory, 'secrets', 'hook'), SECRET, { mode: 0o600 });
  if (kind === 'postgres') await migrateStore(installation);
  const broker = await installation.start();
  const ana = await enrolled(installation, 'ana');
  const dora = await enrolled(installation, 'dora');
  await broker.stop();
  return {
    installation,
    hook,
    ana,
    dora,
    told: (requestId) =>
      hook.accepted
        .map(({ body }) => JSON.parse(body) as { id: string; command: string })
        .filter(({ id }) => id.includes(requestId))
        .map(({ id }) => id),
  };
}

export const quickAsk = (role: string, reason: string) => ({ targets: [{ resource: 'db', role }], reason });

export async function showRequest(ana: TestDevice, id: string): Promise<RequestView> {
  return (await ana.get<RequestView>(`/v1/requests/${id}`)).result;
}
