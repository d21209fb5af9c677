// The receivers of notices: Slack's incoming webhook, a Standard Webhooks endpoint, PagerDuty's Events API v2. Each holds a
// post against the vendor's document. The one for e-mail is in mail-receiver.ts.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { demand, type HttpReceiver, type ReceivedPost, startHttpReceiver } from './http-receiver.ts';

export type { HttpReceiver, Meets, ReceivedPost } from './http-receiver.ts';

type Json = Record<string, unknown>;

/** docs.slack.dev: incoming webhooks, block kit reference. The address ends in a secret. */
export function startSlackReceiver(secret = 'T0/B0/uNkNoWn24'): Promise<HttpReceiver> {
  return startHttpReceiver({
    path: `/services/${secret}`,
    take({ body }) {
      const message = JSON.parse(body) as Json;
      demandKeys(message, ['text'], ['blocks', 'unfurl_links', 'unfurl_media']);
      demandText(message.text, 40_000, 'text');
      const blocks = (message.blocks ?? []) as Json[];
      demand(Array.isArray(blocks) && blocks.length <= 50, 'more than 50 blocks');
      blocks.forEach(demandBlock);
      return { status: 200, body: 'ok', headers: { 'content-type': 'text/html' } };
    },
    refuse: () => ({ status: 400, body: 'invalid_payload' }),
  });
}

function demandBlock(block: Json): void {
  if (block.type === 'header') {
    demandKeys(block, ['type', 'text'], []);
    demand((block.text as Json).type === 'plain_text', 'a header is plain_text');
    demandTextObject(block.text, 150);
  } else if (block.type === 'section') {
    demandKeys(block, ['type'], ['text', 'fields']);
    demand(block.text !== undefined || block.fields !== undefined, 'a section has text or fields');
    if (block.text !== undefined) demandTextObject(block.text, 3000);
    const fields = (block.fields ?? []) as unknown[];
    demand(fields.length <= 10, 'more than 10 fields');
    for (const field of fields) demandTextObject(field, 2000);
  } else {
    demand(block.type === 'context', `a block of type ${block.type}`);
    demandKeys(block, ['type', 'elements'], []);
    const elements = block.elements as unknown[];
    demand(elements.length > 0 && elements.length <= 10, 'a context has 1 to 10 elements');
    for (const element of elements) demandTextObject(element, 3000);
  }
}

function demandTextObject(value: unknown, maxLength: number): void {
  const object = value as Json;
  if (object.type === 'plain_text') demandKeys(object, ['type', 'text'], ['emoji']);
  else demandKeys(object, ['type', 'text'], ['verbatim']);
  demand(object.type === 'plain_text' || object.type === 'mrkdwn', `a text of type ${object.type}`);
  demandText(object.text, maxLength, `a ${object.type}`);
}

export interface WebhookReceiverOptions {
  /** `whsec_…` */
  secret: string;
  /** Milliseconds since 1970. */
  now?: () => number;
}

/** standardwebhooks.com: verifies before it reads, and takes an id it has seen without acting on it again. */
export async function startWebhookReceiver({
  secret,
  now = Date.now,
}: WebhookReceiverOptions): Promise<HttpReceiver & { ids: Set<string> }> {
  const ids = new Set<string>();
  const receiver = await startHttpReceiver({
    path: '/hooks/oncall',
    take(post) {
      verifyStandardWebhook(post, secret, now());
      const body = JSON.parse(post.body) as Json;
      const texts = ['title', 'who', 'what', 'why', 'howLong', 'rule', 'command'];
      demandKeys(body, ['schema', 'id', 'kind', 'at', 'to', ...texts], []);
      demand(body.schema === 'oncall.notice/v1', `the schema is ${body.schema}`);
      ids.add(post.headers['webhook-id'] ?? '');
      return { status: 204 };
    },
    refuse: (body) => ({ status: 400, body }),
  });
  return { ...receiver, ids };
}

const TOLERANCE_SECONDS = 300;

/** Throws a Fault. Written from the specification, apart from what signs. */
export function verifyStandardWebhook({ headers, body }: ReceivedPost, secret: string, nowMs: number): void {
  const id = headers['webhook-id'] ?? '';
  const timestamp = headers['webhook-timestamp'] ?? '';
  demand(id !== '' && !id.includes('.'), 'webhook-id');
  demand(/^\d{1,11}$/.test(timestamp), 'webhook-timestamp is not seconds');
  demand(Math.abs(nowMs / 1000 - Number(timestamp)) <= TOLERANCE_SECONDS, 'webhook-timestamp is too far off');
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest();
  const signatures = (headers['webhook-signature'] ?? '').split(' ').flatMap((part) => {
    const [version, encoded = ''] = part.split(',');
    return version === 'v1' ? [Buffer.from(encoded, 'base64')] : [];
  });
  const matches = signatures.some(
    (each) => each.length === expected.length && timingSafeEqual(each, expected),
  );
  demand(matches, 'no signature matches');
}

/** developer.pagerduty.com: Events API v2. `alerts` is what is open, by deduplication key. */
export async function startPagerDutyReceiver(
  routingKey: string,
): Promise<HttpReceiver & { alerts: Map<string, Json> }> {
  const alerts = new Map<string, Json>();
  const receiver = await startHttpReceiver({
    path: '/v2/enqueue',
    take({ body }) {
      demand(Buffer.byteLength(body) <= 512 * 1024, 'an event larger than 512 KB');
      const event = JSON.parse(body) as Json;
      demandKeys(
        event,
        ['routing_key', 'event_action', 'payload'],
        ['dedup_key', 'client', 'client_url', 'links', 'images'],
      );
      demand(
        event.routing_key === routingKey && routingKey.length === 32,
        "Length of 'routing_key' is incorrect",
      );
      const isOver = event.event_action === 'resolve';
      demand(isOver || event.event_action === 'trigger', `the action is ${event.event_action}`);
      demandText(event.dedup_key, 255, 'dedup_key');
      const payload = event.payload as Json;
      demandKeys(
        payload,
        ['summary', 'source', 'severity'],
        ['timestamp', 'component', 'group', 'class', 'custom_details'],
      );
      demandText(payload.summary, 1024, 'summary');
      demandText(payload.source, 1024, 'source');
      demand(['critical', 'error', 'warning', 'info'].includes(String(payload.severity)), 'severity');
      demand(!Number.isNaN(Date.parse(String(payload.timestamp))), 'timestamp');
      if (isOver) alerts.delete(String(event.dedup_key));
      else alerts.set(String(event.dedup_key), event);
      const accepted = { status: 'success', message: 'Event processed', dedup_key: event.dedup_key };
      return { status: 202, body: JSON.stringify(accepted) };
    },
    refuse: (fault) => ({
      status: 400,
      body: JSON.stringify({ status: 'invalid event', message: 'Event object is invalid', errors: [fault] }),
    }),
  });
  return { ...receiver, alerts };
}

function demandKeys(value: unknown, required: readonly string[], optional: readonly string[]): void {
  demand(typeof value === 'object' && value !== null && !Array.isArray(value), 'not an object');
  const keys = Object.keys(value);
  const missing = required.filter((key) => !keys.includes(key));
  const unknown = keys.filter((key) => ![...required, ...optional].includes(key));
  demand(missing.length === 0, `missing ${missing.join(', ')}`);
  demand(unknown.length === 0, `unknown ${unknown.join(', ')}`);
}

function demandText(value: unknown, maxLength: number, what: string): void {
  demand(typeof value === 'string', `${what} is not a string`);
  demand(value.length >= 1 && value.length <= maxLength, `${what} has ${value.length} characters`);
}
