// A name that nobody knows gets the nearest one that this machine knows.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { AppError } from '../../src/protocol/errors.ts';
import { tempDir } from '../support/temp.ts';
import { play } from './stage.ts';

function homeThatKnows(lists: Readonly<Record<string, string>>): string {
  const home = tempDir();
  const folder = join(home, 'cache', 'complete');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [list, text] of Object.entries(lists)) writeFileSync(join(folder, list), text, { mode: 0o600 });
  return home;
}

const KNOWN = {
  resources: 'db-main\ndb-replica\tOrders database\n',
  bundles: 'orders-incident\n',
  roles: 'db-replica:read\ndb-replica:write\tx\n',
  incidents: 'P1-123\tP1 orders: slow\t1767579240\n',
};

async function hintOf(words: string, message: string, known: Readonly<Record<string, string>> = KNOWN) {
  const refusal = new AppError('not_found', message, { hint: 'as the broker says' });
  const { stderr } = await play(words.split(' '), {
    answers: {
      'POST /v1/requests': refusal,
      'POST /v1/explain': refusal,
      'GET /v1/incidents/P1-132': refusal,
      'GET /v1/grants': { grants: [] },
    },
    env: { ONCALL_HOME: homeThatKnows(known) },
  });
  return /hint: (.*)\n/.exec(stderr)?.[1];
}

it.each([
  ['request db-relica -i P1-123', "there is no resource 'db-relica'", 'oncall request db-replica'],
  ['request db-relica:write', "there is no resource 'db-relica'", 'oncall request db-replica:write'],
  ['request order-incident', "there is no resource 'order-incident'", 'oncall request orders-incident'],
  ['request db-replica:wirte', "db-replica has no role 'wirte'", 'oncall request db-replica:write'],
  ['request db-replica -i P1-132', "there is no incident 'P1-132'", '-i P1-123'],
  ['incident show P1-132', "there is no incident 'P1-132'", 'oncall incident show P1-123'],
  ['explain db-relica', "there is no resource 'db-relica'", 'oncall explain db-replica'],
  ['release db-relica', '', 'oncall release db-replica'],
])('%s', async (words, message, meant) => {
  expect(await hintOf(words, message)).toBe(`did you mean ${meant}`);
});

it('leaves alone what is known, what is near to nothing, and what the error is not about', async () => {
  expect(await hintOf('request db-replica', 'there is no such shift')).toBe('as the broker says');
  expect(await hintOf('request grafana', "there is no resource 'grafana'")).toBe('as the broker says');
  expect(await hintOf('request db-relica', 'no bundle belongs to it')).toBe('as the broker says');
  expect(await hintOf('request db-relica', "there is no resource 'db-relica'", {})).toBe(
    'as the broker says',
  );
});

it('suggests nothing that is no name', async () => {
  const known = { resources: 'db-$(id)\ndb-re\u001b[31m\n' };
  expect(await hintOf('request db-(id)', '', known)).not.toContain('did you mean');
  expect(await hintOf('request db-re', "there is no resource 'db-re'", known)).toBe('as the broker says');
});
