// An Alertmanager of one alert, which posts as the real one does.
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { alertmanagerSender } from '../support/alertmanager-sender.ts';
import { type Happening, sentIncident } from '../support/webhook-senders.ts';
import type { Broker } from './installation.ts';

export interface Alertmanager {
  /** The broker's answer, in words. */
  fire(): Promise<string>;
  resolve(): Promise<string>;
}

export function createAlertmanager({ directory, url }: Broker, bearer: string): Alertmanager {
  const ca = readFileSync(join(directory, 'keys', 'identity.crt'), 'utf8');
  const sender = alertmanagerSender(bearer);
  const alert = sentIncident({
    id: 'OrdersDown',
    title: 'orders are down',
    service: 'orders',
    priority: 'critical',
    startedAtMs: Date.now(),
  });

  function post(happening: Happening): Promise<string> {
    const { headers, body } = sender.deliver(happening, alert, Date.now());
    return new Promise((resolve, reject) => {
      const sent = request(`${url}/v1/webhooks/alertmanager`, { method: 'POST', headers, ca }, (answer) => {
        answer.resume();
        if (answer.statusCode === 202) resolve(`202 ${answer.statusMessage}`);
        else reject(new Error(`the webhook was answered with ${answer.statusCode}`));
      });
      sent.once('error', reject);
      sent.end(body);
    });
  }

  return { fire: () => post('fire'), resolve: () => post('resolve') };
}
