// The main job: declared, requested, used, renewed, released.
import type { PostgresServer } from '../support/postgres-server.ts';
import { loginOf, runQuery, untilRefused } from './database.ts';
import { oncall, step } from './stage.ts';

export async function playMainJob(postgres: PostgresServer): Promise<void> {
  step('dora declares an incident; ana, on call, requests access: decided by policy, in milliseconds');
  const what = ['--service', 'orders', '--priority', 'P1', '--title', 'orders are slow'];
  await oncall('dora', ['incident', 'declare', 'P1-123', ...what]);
  await oncall('ana', ['request', 'db-replica', '--incident', 'P1-123']);

  step('a query as a role that did not exist a minute ago');
  await runQuery('ana', 'db-replica', "select current_user, count(*) || ' orders' from orders");
  const login = await loginOf('ana', 'db-replica');
  await oncall('ana', ['status']);

  step('renewed: the same login, a later end');
  await oncall('ana', ['renew', 'db-replica']);

  step('released: the login is refused from now on, and that is proven');
  await oncall('ana', ['release', 'db-replica']);
  await untilRefused(postgres, login);
  await oncall('dora', ['incident', 'resolve', 'P1-123']);
}
