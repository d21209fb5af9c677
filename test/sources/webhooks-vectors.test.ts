import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { OutsideIncident } from '../../src/sources/incident.ts';
import { alertmanagerSender } from '../support/alertmanager-sender.ts';
import { incidentioSender, pagerdutySender, rootlySender } from '../support/webhook-senders.ts';
import { profileOf, raw } from './webhook-kinds.ts';

interface Case {
  name: string;
  secrets: string[];
  headers: Record<string, string>;
  body: string;
  nowMs: number;
  /** Null for a genuine delivery whose body is not of a vendor that we read. */
  delivery: { id: string; incident: Partial<OutsideIncident> | null } | null;
}

const read = (name: string): Case[] =>
  JSON.parse(readFileSync(`test/vectors/webhook-${name}.json`, 'utf8')).cases;

describe.each([
  ['pagerduty', 'pagerduty'],
  ['standard', 'incidentio'],
  ['rootly', 'rootly'],
  ['alertmanager', 'alertmanager'],
] as const)('the fixed deliveries of %s', (file, kind) => {
  test.each(read(file))('$name', ({ secrets, headers, body, nowMs, delivery }) => {
    const profile = profileOf(kind, ...secrets);
    const sent = raw({ headers, body: Buffer.from(body) });
    profile.verify(sent, nowMs);
    if (delivery === null) {
      expect(() => profile.parse(sent, nowMs)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
      return;
    }
    const { id, incidents } = profile.parse(sent, nowMs);
    expect(id).toBe(delivery.id);
    if (delivery.incident === null) expect(incidents).toEqual([]);
    else expect(incidents).toEqual([expect.objectContaining(delivery.incident)]);
  });
});

test('the senders of the tests sign as the vendors do', () => {
  const [pagerduty, , note] = read('pagerduty');
  const signed = (sent: { headers: Record<string, string> }, name: string) => sent.headers[name];
  for (const { secrets, body, headers } of [pagerduty!, note!])
    expect(signed(pagerdutySender(...secrets).sign(body, 0), 'x-pagerduty-signature')).toBe(
      headers['x-pagerduty-signature'],
    );
  const [rootly] = read('rootly');
  expect(rootlySender(rootly!.secrets[0]!).sign(rootly!.body, rootly!.nowMs - 1000).headers).toMatchObject(
    rootly!.headers,
  );
  const [alertmanager] = read('alertmanager');
  expect(alertmanagerSender(alertmanager!.secrets[0]).sign(alertmanager!.body, 0).headers).toMatchObject(
    alertmanager!.headers,
  );
  // Its id is drawn anew for each delivery, so that the signature is checked by the profile that the vectors hold.
  const [standard] = read('standard');
  const sent = raw(incidentioSender(...standard!.secrets).sign(standard!.body, standard!.nowMs));
  expect(() => profileOf('incidentio', ...standard!.secrets).verify(sent, standard!.nowMs)).not.toThrow();
});
