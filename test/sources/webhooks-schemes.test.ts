import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { sentIncident } from '../support/webhook-senders.ts';
import { isRefused, KINDS, NOW, profileOf, REFUSED, receive, refusal, withHeader } from './webhook-kinds.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

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
