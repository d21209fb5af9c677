import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createWebhookProfile, receivesWebhooks } from '../../src/sources/webhook-profiles.ts';
import { sentIncident } from '../support/webhook-senders.ts';
import {
  isRefused,
  KINDS,
  NOW,
  profileOf,
  REFUSED,
  raw,
  receive,
  refusal,
  settingsOf,
  source,
  withHeader,
} from './webhook-kinds.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

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
