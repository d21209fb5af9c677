// An installation that receives webhooks, and how to deliver to it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IncidentList, IncidentView } from '../../src/protocol/messages.ts';
import { alertmanagerSender } from './alertmanager-sender.ts';
import type { CallOptions, TestDevice } from './device.ts';
import { type Installation, type InstallationOptions, install, PEOPLE } from './installation.ts';
import { incidentioSender, pagerdutySender, rootlySender, type SentDelivery } from './webhook-senders.ts';

export const SECRETS: Readonly<Record<string, string>> = {
  pd: 'pagerduty-secret',
  io: `whsec_${Buffer.from('incident.io secret').toString('base64')}`,
  root: 'rootly-secret',
  am: 'alertmanager-token',
};

export const SENDERS = {
  pd: pagerdutySender(SECRETS.pd!),
  io: incidentioSender(SECRETS.io!),
  root: rootlySender(SECRETS.root!),
  am: alertmanagerSender(SECRETS.am!),
};

/** PEOPLE, whose orders are `PSVC1` everywhere, and a source of each kind; `calendar` delivers nothing. */
export const DELIVERING = `${PEOPLE.replace(
  'orders: { schedules: [orders-primary] }',
  'orders: { schedules: [orders-primary], ids: { pd: PSVC1, io: PSVC1, root: PSVC1, am: PSVC1 } }',
)}
sources:
  pd: { type: pagerduty, webhookSecrets: [{ file: secrets/pd }] }
  io: { type: incidentio, webhookSecrets: [{ file: secrets/io }] }
  root: { type: rootly, webhookSecrets: [{ file: secrets/root }] }
  am: { type: alertmanager, bearer: { file: secrets/am } }
  calendar: { type: ical, feed: { file: secrets/none } }
`;

export async function installDelivering(options: InstallationOptions = {}): Promise<Installation> {
  const installation = await install({ catalogue: DELIVERING, ...options });
  for (const [name, secret] of Object.entries(SECRETS)) writeSecret(installation, name, secret);
  return installation;
}

export function writeSecret({ directory }: Installation, name: string, secret: string): void {
  mkdirSync(join(directory, 'secrets'), { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, 'secrets', name), secret, { mode: 0o600 });
}

export interface DeliveryAnswer {
  status: number;
  body: { accepted?: boolean; error?: { code: string; message: string; hint?: string } };
}

export async function deliver(
  url: string,
  source: string,
  { headers, body }: SentDelivery,
): Promise<DeliveryAnswer> {
  const response = await fetch(`${url}/v1/webhooks/${source}`, { method: 'POST', headers, body });
  return { status: response.status, body: (await response.json()) as DeliveryAnswer['body'] };
}

export async function incidents(device: TestDevice, options?: CallOptions): Promise<readonly IncidentView[]> {
  return (await device.get<IncidentList>('/v1/incidents', options)).result.incidents;
}
