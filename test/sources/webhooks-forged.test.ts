import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../src/protocol/errors.ts';
import type { RawDelivery, WebhookProfile } from '../../src/sources/incident.ts';
import { createWebhookProfile, receivesWebhooks } from '../../src/sources/webhook-profiles.ts';
import { type SentDelivery, sentIncident } from '../support/webhook-senders.ts';
import { KINDS, profileOf, raw, receive, settingsOf, source } from './webhook-kinds.ts';

const NOW = Date.parse('2026-01-05T02:14:30.000Z');
const MINUTE = 60_000;
const DAY = 86_400_000;

/** What a refusal says, whatever it refused: the same for all, or it would teach a forger. */
function refusal(attempt: () => unknown): { code: string; message: string; hint: string | undefined } {
  try {
    attempt();
  } catch (error) {
    if (error instanceof AppError) return { code: error.code, message: error.message, hint: error.hint };
    throw error;
  }
  throw new Error('the delivery was taken');
}

const REFUSED = refusal(() =>
  profileOf('rootly', 's').verify(raw({ headers: {}, body: Buffer.from('{}') }), 0),
);
const isRefused = (profile: WebhookProfile, delivery: RawDelivery, nowMs = NOW) =>
  expect(refusal(() => profile.verify(delivery, nowMs))).toEqual(REFUSED);
const withHeader = (sent: SentDelivery, name: string, value: string | string[] | undefined): RawDelivery => ({
  headers: { ...sent.headers, [name]: value },
  body: sent.body,
  clientCertificate: undefined,
});
/** Another byte at one place. */
function alter(text: string, at: number, by: number): string {
  const bytes = Buffer.from(text);
  const index = at % bytes.length;
  bytes[index] = 0x20 + (((bytes[index]! - 0x20 + 1 + (by % 94)) % 95) as number);
  return bytes.toString();
}

test('every refusal is the same, and says no more', () => {
  expect(REFUSED.code).toBe('unauthenticated');
});

describe.each(KINDS)('a delivery of $kind', ({ kind, secret, otherSecret, sender, proof }) => {
  const profile = profileOf(kind, secret);
  const sent = sender(secret).deliver('fire', sentIncident(), NOW);

  test('is taken when it is genuine', () => {
    expect(receive(profile, sent, NOW).incidents).toHaveLength(1);
  });

  test('is refused with any byte of its proof changed', () => {
    for (const name of proof)
      fc.assert(
        fc.property(fc.nat(), fc.nat(), (at, by) => {
          isRefused(profile, withHeader(sent, name, alter(sent.headers[name]!, at, by)));
        }),
      );
  });

  test.runIf(kind !== 'alertmanager')(
    'is refused with any byte of its body changed, added or missing',
    () => {
      fc.assert(
        fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (at, by) => {
          const body = Buffer.from(sent.body);
          body[at % body.length]! ^= by;
          isRefused(profile, { ...raw(sent), body });
        }),
      );
      isRefused(profile, { ...raw(sent), body: sent.body.subarray(0, -1) });
      isRefused(profile, { ...raw(sent), body: Buffer.concat([sent.body, Buffer.from(' ')]) });
    },
  );

  test('is refused with another secret, and with any character of the secret changed', () => {
    isRefused(profileOf(kind, otherSecret), raw(sent));
    fc.assert(
      fc.property(fc.nat({ max: secret.length - 1 }), (at) => {
        if (secret.startsWith('whsec_') && at < 6) return;
        const changed = secret.slice(0, at) + (secret[at] === 'A' ? 'B' : 'A') + secret.slice(at + 1);
        isRefused(profileOf(kind, changed), raw(sent));
      }),
    );
  });

  test('is refused without its proof, with it twice, and with one of many kilobytes', () => {
    for (const name of proof) {
      const value = sent.headers[name]!;
      isRefused(profile, withHeader(sent, name, undefined));
      isRefused(profile, withHeader(sent, name, ''));
      isRefused(profile, withHeader(sent, name, [value, value]));
      isRefused(profile, withHeader(sent, name, [value, 'v1=00']));
      isRefused(profile, withHeader(sent, name, `${value}, ${value}`));
      isRefused(profile, withHeader(sent, name, value + ' '.repeat(3000)));
      isRefused(profile, withHeader(sent, name, `${value}\u00e9`));
    }
  });

  test('is refused without a body and with one above a mebibyte, genuine as it may be', () => {
    isRefused(profile, raw(sender(secret).sign('', NOW)));
    const filler = ' '.repeat(1024 * 1024 - sent.body.length);
    expect(() => profile.verify(raw(sender(secret).sign(sent.body + filler, NOW)), NOW)).not.toThrow();
    isRefused(profile, raw(sender(secret).sign(`${sent.body}${filler} `, NOW)));
  });

  test('is refused by the parser when its bytes are not UTF-8, not JSON, or give a key twice', () => {
    const bodies = [Buffer.from([0x7b, 0xff, 0x7d]), '{', '[]', 'null', '"x"', '{"event":1,"event":2}', '{}'];
    for (const body of bodies) {
      const signed = sender(secret).sign(body, NOW);
      expect(refusal(() => receive(profile, signed, NOW)).code).toBe('invalid_request');
    }
  });

  test('is refused by the parser when a genuine signature is over another sender’s body', () => {
    for (const other of KINDS.filter((candidate) => candidate.kind !== kind)) {
      const { body } = other.sender(other.secret).deliver('fire', sentIncident(), NOW);
      expect(refusal(() => receive(profile, sender(secret).sign(body, NOW), NOW)).code).toBe(
        'invalid_request',
      );
    }
  });

  test('says the same when its body is delivered again', () => {
    expect(receive(profile, sender(secret).sign(sent.body, NOW + MINUTE), NOW + MINUTE).incidents).toEqual(
      receive(profile, sent, NOW).incidents,
    );
  });

  // A Standard Webhooks id is inside the signed content: a fresh one nobody can sign but the sender.
  test.runIf(kind !== 'incidentio')('is the same delivery under a fresh delivery header', () => {
    const again = sender(secret).sign(sent.body, NOW + MINUTE);
    again.headers['x-webhook-id'] = 'fresh';
    again.headers['webhook-id'] = 'fresh';
    expect(receive(profile, again, NOW + MINUTE).id).toBe(receive(profile, sent, NOW).id);
  });

  test('cannot be made with an empty secret', () => {
    for (const empty of ['', ' ', `${secret}\n`])
      expect(refusal(() => profileOf(kind, empty)).code).toBe('config_invalid');
    if (kind !== 'alertmanager') expect(refusal(() => profileOf(kind)).code).toBe('config_invalid');
  });
});

describe.each(KINDS.filter(({ kind }) => kind !== 'alertmanager'))('with two secrets, $kind', (of) => {
  const { kind, secret, otherSecret, sender } = of;

  test('may sign with either while they rotate, and with no third', () => {
    const profile = profileOf(kind, otherSecret, secret);
    for (const one of [secret, otherSecret])
      expect(receive(profile, sender(one).deliver('fire', sentIncident(), NOW), NOW).incidents).toHaveLength(
        1,
      );
    const third = `${secret.slice(0, -1)}Q`;
    isRefused(profile, raw(sender(third).deliver('fire', sentIncident(), NOW)));
  });
});

describe.each(KINDS.filter(({ kind }) => kind === 'incidentio' || kind === 'rootly'))(
  'the time of $kind',
  ({ kind, secret, sender }) => {
    const profile = profileOf(kind, secret);
    const sent = sender(secret).deliver('fire', sentIncident(), NOW);

    test('may be five minutes off, either way, and not a second more', () => {
      for (const off of [-5 * MINUTE, 5 * MINUTE])
        expect(() => profile.verify(raw(sent), NOW + off)).not.toThrow();
      for (const off of [-5 * MINUTE - 1000, 5 * MINUTE + 1000, -DAY, DAY])
        isRefused(profile, raw(sent), NOW + off);
    });
  },
);

describe('a PagerDuty delivery', () => {
  const { secret, sender } = KINDS[0]!;
  const profile = profileOf('pagerduty', secret);

  test('has one right signature among several, or of a version to come besides', () => {
    const sent = sender('another', secret, 'a-third').deliver('fire', sentIncident(), NOW);
    expect(receive(profile, sent, NOW).incidents).toHaveLength(1);
    const header = sender(secret).sign(sent.body, NOW).headers['x-pagerduty-signature']!;
    expect(() =>
      profile.verify(withHeader(sent, 'x-pagerduty-signature', `v2=ab,${header}`), NOW),
    ).not.toThrow();
  });

  test('is refused in another version, in capitals, or behind eleven signatures', () => {
    const sent = sender(secret).deliver('fire', sentIncident(), NOW);
    const header = sent.headers['x-pagerduty-signature']!;
    for (const forged of [header.replace('v1=', 'v2='), header.replace('v1=', 'v11='), header.toUpperCase()])
      isRefused(profile, withHeader(sent, 'x-pagerduty-signature', forged));
    isRefused(profile, withHeader(sent, 'x-pagerduty-signature', `${header},v2=${'a'.repeat(2048)}`));
    const many = [...Array<string>(10).fill(`v1=${'0'.repeat(64)}`), header].join(',');
    isRefused(profile, withHeader(sent, 'x-pagerduty-signature', many));
  });

  test('can be replayed for three days, and lies five minutes ahead at most', () => {
    const sent = sender(secret).deliver('fire', sentIncident(), NOW);
    for (const late of [-5 * MINUTE, 0, 3 * DAY])
      expect(receive(profile, sent, NOW + late).incidents).toHaveLength(1);
    for (const off of [-5 * MINUTE - 1, 3 * DAY + 1])
      expect(refusal(() => receive(profile, sent, NOW + off))).toEqual(REFUSED);
  });
});

describe('a Standard Webhooks delivery', () => {
  const { secret, sender } = KINDS[1]!;
  const profile = profileOf('incidentio', secret);
  const sent = sender(secret).deliver('fire', sentIncident(), NOW);

  test('has one right signature among several, of other versions too', () => {
    const header = sent.headers['webhook-signature']!;
    const others = `v1,${'A'.repeat(43)}= v1a,${'B'.repeat(86)}==`;
    for (const several of [`${others} ${header}`, `${header} ${others}`])
      expect(() => profile.verify(withHeader(sent, 'webhook-signature', several), NOW)).not.toThrow();
    isRefused(profile, withHeader(sent, 'webhook-signature', header.replace('v1,', 'v1a,')));
    isRefused(profile, withHeader(sent, 'webhook-signature', header.replace('v1,', 'v2,')));
  });

  test('cannot move bytes between its id, its time and its body', () => {
    const {
      'webhook-id': id,
      'webhook-timestamp': time,
      ...proof
    } = sender(secret).sign('2000000000.{}', NOW).headers;
    const headers = { ...proof, 'webhook-id': `${id}.${time}`, 'webhook-timestamp': '2000000000' };
    isRefused(profile, { headers, body: Buffer.from('{}'), clientCertificate: undefined }, 2_000_000_000_000);
  });

  test('is refused with a time in another form, signed as it may be', () => {
    const seconds = String(NOW / 1000);
    for (const time of [
      `${seconds}.0`,
      `0${seconds}`,
      `+${seconds}`,
      `${seconds}e0`,
      'Infinity',
      String(NOW),
    ]) {
      const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
      const signature = createHmac('sha256', key).update(`msg_1.${time}.`).update(sent.body).digest('base64');
      const headers = {
        'webhook-id': 'msg_1',
        'webhook-timestamp': time,
        'webhook-signature': `v1,${signature}`,
      };
      isRefused(profile, { headers, body: sent.body, clientCertificate: undefined });
    }
  });

  test('needs a secret of the form that senders show', () => {
    for (const secretText of [
      'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      'whsec_',
      'whsec_AAAA',
      'whsec_%%%%',
      'whsec_A',
    ])
      expect(refusal(() => profileOf('incidentio', secretText)).code).toBe('config_invalid');
  });
});

test('a Rootly delivery cannot move digits between its time and its body', () => {
  const { secret, sender } = KINDS[2]!;
  const profile = profileOf('rootly', secret);
  const { headers } = sender(secret).sign('7{}', NOW);
  const [, digits, mac] = /^t=(\d+),(.*)$/.exec(headers['x-rootly-signature']!)!;
  for (const body of ['{}', `${digits!.slice(-1)}7{}`])
    for (const t of [`${digits}7`, digits!.slice(0, -1)])
      isRefused(profile, {
        headers: { 'x-rootly-signature': `t=${t},${mac}` },
        body: Buffer.from(body),
        clientCertificate: undefined,
      });
});

test('a source that sends no webhooks has no profile', () => {
  const noSecrets = { webhookSecrets: ['s'], bearer: 's', caPem: undefined };
  for (const settings of [
    { kind: 'ical', feed: { env: 'FEED' } },
    { kind: 'jsm', url: 'https://api.example.com', user: 'ana@example.com', token: { env: 'TOKEN' } },
    settingsOf('pagerduty', 0),
  ] as const) {
    expect(receivesWebhooks(settings)).toBe(false);
    expect(refusal(() => createWebhookProfile(source(settings), noSecrets)).code).toBe('config_invalid');
  }
  for (const { kind } of KINDS) expect(receivesWebhooks(settingsOf(kind, 1))).toBe(true);
});
