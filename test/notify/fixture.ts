import { inspect } from 'node:util';
import type { Channel, ChannelSettings, SecretRef } from '../../src/catalogue/types.ts';
import { createChannel } from '../../src/notify/channels.ts';
import type { Notice, NoticeChannel, Recipient } from '../../src/notify/notice.ts';
import { AppError } from '../../src/protocol/errors.ts';
import { atEnd } from '../support/at-end.ts';
import {
  type HttpReceiver,
  startPagerDutyReceiver,
  startSlackReceiver,
  startWebhookReceiver,
} from '../support/receivers.ts';

export const SLACK_SECRET = 'T00000000/B00000000/hxaa9gGVqvyZT2xNdTrJt5mZ';
export const WEBHOOK_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
export const ROUTING_KEY = 'e93facc04764012d7bfb002500d5d1a6';

export const NEVER = new AbortController().signal;

export function sampleRecipient(user: string, email: string | undefined = `${user}@example.com`): Recipient {
  return {
    user,
    name: `${user[0]?.toUpperCase()}${user.slice(1)} Example`,
    email,
    ids: { pagerduty: `P${user}` },
  };
}

export function sampleNotice(changes: Partial<Notice> = {}): Notice {
  return {
    id: 'req_0123456789abcdefghj:asked:1',
    kind: 'approval',
    at: '2026-01-05T02:14:00.000Z',
    to: [sampleRecipient('bo'), sampleRecipient('cy')],
    title: 'ada asks for db-replica:write',
    who: 'ada (Ada Example)',
    what: 'db-replica:write',
    why: 'P1-123: replication lag',
    howLong: '2h',
    rule: 'write-in-incident, stage 1 of 2',
    command: 'oncall approve req_0123456789abcdefghj',
    ...changes,
  };
}

/** Everything that people and incidents can put into words to reach past them. */
export const HOSTILE = [
  '<!channel> <!here> <@U123> <https://evil.example|the console> & *Rule:* `x`',
  'two\r\nBcc: eve@evil.example\r\n\r\nlines',
  '\u001b[2J\u001b]0;owned\u0007\u009b31m',
  '\u202egnorw\u200b\u2066\ufeff',
  '\ud800 alone',
  'x'.repeat(10_000),
].join(' ');

export function hostileNotice(): Notice {
  const texts = ['title', 'who', 'what', 'why', 'howLong', 'rule', 'command'] as const;
  const hostile = Object.fromEntries(texts.map((text) => [text, HOSTILE]));
  return sampleNotice({ ...hostile, to: [{ ...sampleRecipient('bo'), name: HOSTILE }] });
}

/** What must be nowhere in what is sent, as a character: controls, directions, the invisible, half a surrogate pair. */
export const UNSEEN = /[\p{Cc}\p{Cs}\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/u;

export async function openChannel(settings: ChannelSettings, now?: () => number): Promise<NoticeChannel> {
  const channel: Channel = { id: 'ops', settings, notices: ['approval'] };
  const opened = await createChannel(channel, readSecret, now);
  atEnd(() => opened.close());
  return opened;
}

/** In these tests a reference to an environment variable names the secret itself. */
async function readSecret(ref: SecretRef): Promise<string> {
  return 'env' in ref ? ref.env : '';
}

export interface HttpParts {
  receiver: HttpReceiver;
  channel: NoticeChannel;
  /** What the receiver was told the notice's id is, post by post. */
  ids(): unknown[];
  /** What must not be in an error. */
  secret: string;
}

async function startSlack(): Promise<HttpParts> {
  const receiver = await startSlackReceiver(SLACK_SECRET);
  const channel = await openChannel({ kind: 'slack', webhook: { env: receiver.url } });
  return { receiver, channel, ids: () => [], secret: SLACK_SECRET };
}

async function startWebhook(): Promise<HttpParts> {
  const receiver = await startWebhookReceiver({ secret: WEBHOOK_SECRET });
  const channel = await openChannel({ kind: 'webhook', url: receiver.url, secret: { env: WEBHOOK_SECRET } });
  const ids = () => receiver.posts.map(({ headers }) => headers['webhook-id']);
  return { receiver, channel, ids, secret: WEBHOOK_SECRET };
}

async function startPagerDuty(): Promise<HttpParts> {
  const receiver = await startPagerDutyReceiver(ROUTING_KEY);
  const settings = { kind: 'pagerduty-events', url: receiver.url, routingKey: { env: ROUTING_KEY } } as const;
  const ids = () => receiver.posts.map(({ body }) => JSON.parse(body).dedup_key);
  return { receiver, channel: await openChannel(settings), ids, secret: ROUTING_KEY };
}

export const HTTP_KINDS = { slack: startSlack, webhook: startWebhook, 'pagerduty-events': startPagerDuty };
export type HttpKind = keyof typeof HTTP_KINDS;

export async function startHttp(kind: HttpKind): Promise<HttpParts> {
  const parts = await HTTP_KINDS[kind]();
  atEnd(parts.receiver.close);
  return parts;
}

/** What went wrong, which must be an AppError that tells no secret, however deep one looks. */
export async function failureOf(sent: Promise<unknown>, ...secrets: string[]): Promise<AppError> {
  const error = await sent.then(
    () => new Error('it did not fail'),
    (failure: unknown) => failure,
  );
  if (!(error instanceof AppError)) throw error;
  const everything = inspect(error, { depth: 20, showHidden: true, maxStringLength: null });
  for (const secret of secrets) if (everything.includes(secret)) throw new Error('the error tells a secret');
  return error;
}
