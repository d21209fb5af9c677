// Every kind of sender with a profile that trusts it, for what must hold of all of them.
import { expect } from 'vitest';
import type { Source, SourceSettings } from '../../src/catalogue/types.ts';
import { AppError } from '../../src/protocol/errors.ts';
import type { Delivery, RawDelivery, WebhookProfile } from '../../src/sources/incident.ts';
import { createWebhookProfile } from '../../src/sources/webhook-profiles.ts';
import { alertmanagerSender } from '../support/alertmanager-sender.ts';
import {
  incidentioSender,
  pagerdutySender,
  rootlySender,
  type SentDelivery,
  type WebhookSender,
} from '../support/webhook-senders.ts';

/** When the deliveries that must be refused are made. */
export const NOW = Date.parse('2026-01-05T02:14:30.000Z');

export interface Kind {
  kind: 'pagerduty' | 'incidentio' | 'rootly' | 'alertmanager';
  secret: string;
  otherSecret: string;
  sender(...secrets: readonly string[]): WebhookSender;
  /** The headers that prove a delivery. */
  proof: readonly string[];
}

export const KINDS: readonly Kind[] = [
  {
    kind: 'pagerduty',
    secret: 'lDQHScfUeXUKaQRNF+8XIiDKZ7XX3itBAYzwU0TARw8l',
    otherSecret: 'another-subscription',
    sender: pagerdutySender,
    proof: ['x-pagerduty-signature'],
  },
  {
    kind: 'incidentio',
    secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    otherSecret: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD',
    sender: incidentioSender,
    proof: ['webhook-id', 'webhook-timestamp', 'webhook-signature'],
  },
  {
    kind: 'rootly',
    secret: '5f2b1c9e7d',
    otherSecret: '5f2b1c9e7e',
    sender: (secret = '') => rootlySender(secret),
    proof: ['x-rootly-signature'],
  },
  {
    kind: 'alertmanager',
    secret: 'a-long-token-of-the-alertmanager',
    otherSecret: 'a-long-token-of-another',
    sender: alertmanagerSender,
    proof: ['authorization'],
  },
];

export const source = (settings: SourceSettings): Source => ({
  id: 'from-outside',
  settings,
  pollSeconds: 60,
  freshSeconds: 600,
  usableSeconds: 86_400,
  priorities: {},
  trusted: false,
});

export function settingsOf(kind: Kind['kind'], secrets: number): SourceSettings {
  const webhookSecrets = Array.from({ length: secrets }, (_, index) => ({ env: `SECRET_${index}` }));
  switch (kind) {
    case 'pagerduty':
    case 'incidentio':
      return { kind, url: 'https://api.example.com', token: undefined, webhookSecrets };
    case 'rootly':
      return { kind, webhookSecrets };
    case 'alertmanager':
      return { kind, bearer: { env: 'BEARER' }, clientCertificate: undefined };
  }
}

export function profileOf(kind: Kind['kind'], ...secrets: readonly string[]): WebhookProfile {
  const webhookSecrets = kind === 'alertmanager' ? [] : secrets;
  return createWebhookProfile(source(settingsOf(kind, secrets.length)), {
    webhookSecrets,
    bearer: secrets[0],
    caPem: undefined,
  });
}

export const raw = (sent: SentDelivery): RawDelivery => ({ ...sent, clientCertificate: undefined });

/** What a genuine delivery says, verified first, as the broker does it. */
export function receive(profile: WebhookProfile, sent: SentDelivery, nowMs: number): Delivery {
  const delivery = raw(sent);
  profile.verify(delivery, nowMs);
  return profile.parse(delivery, nowMs);
}

/** What a refusal says, whatever it refused: the same for all, or it would teach a forger. */
export function refusal(attempt: () => unknown): { code: string; message: string; hint: string | undefined } {
  try {
    attempt();
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error('the delivery was taken');
}

export const REFUSED = refusal(() =>
  profileOf('rootly', 's').verify(raw({ headers: {}, body: Buffer.from('{}') }), 0),
);
export const isRefused = (profile: WebhookProfile, delivery: RawDelivery, nowMs = NOW) =>
  expect(refusal(() => profile.verify(delivery, nowMs))).toEqual(REFUSED);
export const withHeader = (
  sent: SentDelivery,
  name: string,
  value: string | string[] | undefined,
): RawDelivery => ({
  headers: { ...sent.headers, [name]: value },
  body: sent.body,
  clientCertificate: undefined,
});
