/**
 * A webhook of our own, signed as Standard Webhooks 1.0 says (github.com/standard-webhooks/standard-webhooks, spec): the
 * id is the notice's, so a receiver that has seen it drops the repeat; the time is that of the attempt.
 */
import { createHmac } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import type { Notice, NoticeChannel } from './notice.ts';
import { noticeKey } from './notice-key.ts';
import { createPoster, refusedAnswer } from './post.ts';
import { wordsOf } from './words.ts';

const SECRET = /^whsec_((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)$/;
// "between 24 bytes (192 bits) and 64 bytes (512 bits)"
const MIN_KEY_BYTES = 24;
const MAX_KEY_BYTES = 64;

export interface WebhookOptions {
  url: string;
  /** `whsec_` and 24 to 64 bytes in base64. */
  secret: string;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** Throws AppError `config_invalid` for an address or a secret of another form. Any 2xx is success. */
export function createWebhookChannel(name: string, { url, secret, now }: WebhookOptions): NoticeChannel {
  const key = parseSecret(name, secret);
  const poster = createPoster(name, url);
  return {
    name,
    canReach: () => true,
    async send(notice, signal) {
      const id = noticeKey(notice.id);
      const timestamp = Math.floor(now() / 1000);
      const body = JSON.stringify(bodyOf(notice));
      const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
      const headers = {
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': `v1,${signature}`,
      };
      const { status } = await poster.post(body, headers, signal);
      if (status < 200 || status > 299) throw refusedAnswer(name, status);
    },
    close: poster.close,
  };
}

/** `oncall.notice/v1`. Texts are escaped and cut as in every channel; nobody's name or address is in it. */
function bodyOf(notice: Notice): object {
  const { to: _names, ...words } = wordsOf(notice);
  return {
    schema: 'oncall.notice/v1',
    id: notice.id,
    kind: notice.kind,
    at: notice.at,
    to: notice.to.map(({ user, ids }) => ({ user, ids })),
    ...words,
  };
}

function parseSecret(channel: string, secret: string): Buffer {
  const key = Buffer.from(SECRET.exec(secret)?.[1] ?? '', 'base64');
  if (key.length >= MIN_KEY_BYTES && key.length <= MAX_KEY_BYTES) return key;
  throw new AppError(
    'config_invalid',
    `channel ${channel}: the secret is whsec_ and 24 to 64 bytes in base64`,
    {
      hint: 'echo "whsec_$(openssl rand -base64 32)" > FILE',
    },
  );
}
