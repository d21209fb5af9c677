// On-call automation: an alert opens what it always needs, a chain finds somebody who is awake, and what was opened for the
// incident ends with it.
import type { PostgresServer } from '../support/postgres-server.ts';
import { createAlertmanager } from './alertmanager.ts';
import { loginOf, runQuery, untilRefused } from './database.ts';
import type { Broker } from './installation.ts';
import { ask, background, detail, oncall, show, step, until } from './stage.ts';

export async function playOnCall(broker: Broker, postgres: PostgresServer, bearer: string): Promise<void> {
  const alertmanager = createAlertmanager(broker, bearer);

  step('02:14, an alert fires: what this incident needs is ready before ana asks');
  show(['status', '--watch', '&'], 'ana');
  const watch = background('ana', ['status', '--watch']);
  await watch.sees('holds no access');
  detail(`Alertmanager: POST ${broker.url}/v1/webhooks/alertmanager → ${await alertmanager.fire()}`);
  await watch.sees('ready: oncall run');
  await oncall('ana', ['status']);
  await runQuery('ana', 'db-replica', "select count(*) || ' orders' from orders");
  const login = await loginOf('ana', 'db-replica');

  step('writing needs a yes: carla is asked and sleeps, two seconds later dora is asked too');
  const [incident] = (await ask<{ incidents: { id: string }[] }>('ana', ['incident', 'list'])).incidents;
  const why = ['--incident', incident?.id ?? '', '--reason', 'order 7 is stuck'];
  await oncall('ana', ['request', 'db-replica:write', ...why, '--no-wait'], { codes: [PENDING] });
  const asked = () => ask<{ requests: { id: string }[] }>('dora', ['approvals']);
  await until('dora to be asked', async () => (await asked()).requests.length > 0);
  await oncall('dora', ['approvals']);
  const id = (await asked()).requests[0]?.id ?? '';
  await oncall('dora', ['approve', id]);
  await runQuery('ana', 'db-replica:write', "update orders set state = 'new' where id = 7 returning state");

  step('the incident resolves: all that was opened for it ends, after a grace period of five seconds');
  detail(`Alertmanager: POST ${broker.url}/v1/webhooks/alertmanager → ${await alertmanager.resolve()}`);
  await watch.sees('ending');
  await oncall('ana', ['status']);
  await watch.sees('holds no access');
  await oncall('ana', ['grants']);
  await untilRefused(postgres, login);
}

/** `request --no-wait`: asked, not answered. */
const PENDING = 8;
