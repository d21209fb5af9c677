// `oncall held`, from local files alone: what ssh asks before it connects.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { StatusGrant } from '../../src/client/status-file.ts';
import { tempDir } from '../support/temp.ts';
import { NOW, play } from './stage.ts';
import { GRANT_ID } from './views.ts';

const HOUR = 3_600_000;
const at = (ms: number) => new Date(NOW + ms).toISOString();

async function held(
  words: string,
  more: Partial<StatusGrant> | undefined,
  { files = true, incidents = [{ id: 'P1-1' }] } = {},
) {
  const home = tempDir();
  const grant = {
    id: GRANT_ID,
    target: { resource: 'db-host', role: 'operator' },
    state: 'active',
    endsAt: at(HOUR),
    credentialExpiresAt: at(60_000),
    ...more,
  };
  const status = {
    schema: 'oncall.status/v1',
    grants: more === undefined ? [] : [grant],
    pending: [],
    incidents,
  };
  mkdirSync(join(home, 'state'), { mode: 0o700 });
  writeFileSync(join(home, 'state', 'status.json'), JSON.stringify(status), { mode: 0o600 });
  if (files) mkdirSync(join(home, 'run', 'grants', GRANT_ID), { recursive: true });
  const { code, stdout, stderr } = await play(['held', ...words.split(' ')], { env: { ONCALL_HOME: home } });
  return { code, stdout, hint: /hint: (.*)\n/.exec(stderr)?.[1] };
}

it.each(['db-host', 'db-host:operator', 'other db-host'])(
  'says nothing while a credential lives: %s',
  async (words) => {
    expect(await held(words, {})).toEqual({ code: 0, stdout: '', hint: undefined });
  },
);

it.each([
  ['has run out', { credentialExpiresAt: at(-1) }, true],
  ['was never fetched', { credentialExpiresAt: null, state: 'ready' as const }, true],
  ['has no files here, after a restart of the machine', {}, false],
])('says how to renew one that %s', async (_, more, files) => {
  expect(await held('db-host', more, { files })).toEqual({
    code: 6,
    stdout: '',
    hint: 'oncall renew db-host:operator --no-extend',
  });
});

it('says how to get one where none is held, or the window is over, or the role is another', async () => {
  for (const [words, more] of [
    ['db-host', undefined],
    ['db-host', { endsAt: at(-1) }],
  ] as const)
    expect(await held(words, more)).toEqual({ code: 1, stdout: '', hint: 'oncall request db-host -i P1-1' });
  expect(await held('db-host:admin', {})).toMatchObject({
    code: 1,
    hint: 'oncall request db-host:admin -i P1-1',
  });
});

it('names no incident where several are open', async () => {
  const incidents = [{ id: 'P1-1' }, { id: 'P1-2' }];
  expect(await held('db-host', undefined, { incidents })).toMatchObject({ hint: 'oncall request db-host' });
});
