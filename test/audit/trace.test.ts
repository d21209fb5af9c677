// The trace by the log alone: what each kind of target writes of a login, one name at different times, and lies.
import { describe, expect, test } from 'vitest';
import type { AuditEntry } from '../../src/audit/entry.ts';
import { type FindEntries, traceName, unknownName } from '../../src/audit/trace.ts';
import { namesIn } from '../../src/audit/trace-names.ts';

const GRANT = 'gr_1m884jr8tabrrh89e6z';
const OTHER = 'gr_1m884jr8tabrrh89e70';
const LATER = 'gr_1m884jr8tabrrh89e71';

const entries: AuditEntry[] = [];
function add(event: string, minute: number, subject: Record<string, string>, data: AuditEntry['data'] = {}) {
  const at = new Date(Date.UTC(2026, 0, 5, 2, minute)).toISOString();
  entries.push({
    v: 1,
    index: entries.length,
    at,
    event,
    actor: { kind: 'broker', id: 'broker' },
    subject,
    data,
  });
}

function grantOf(user: string, grant: string, minute: number): void {
  const request = grant.replace('gr_', 'req_');
  add('request.granted', minute, { request, user }, { reason: `${user} has a reason`, incident: 'P1-1' });
  const subject = { grant, request, user, resource: 'db-replica' };
  add('grant.created', minute, subject, { role: 'read', via: 'policy', rule: null, incident: 'P1-1' });
}

function login(
  grant: string,
  handle: string,
  credential: string,
  from: number,
  to: number | undefined,
): void {
  const subject = { grant, credential, handle };
  add('credential.issuing', from, { ...subject, device: 'dev_1', user: 'x' }, { kind: 'postgres' });
  add('credential.live', from, subject, { expiresAt: '2026-01-05T04:00:00.000Z' });
  if (to === undefined) return;
  add('credential.ending', to, subject, { cause: 'released' });
  add('credential.ended', to, subject, { cause: 'released' });
}

grantOf('ana', GRANT, 0);
login(GRANT, 'oncall_ana_1m884jr8tabrrh89e6a', 'cr_1m884jr8tabrrh89e6a', 1, 10);
login(
  GRANT,
  'system:serviceaccount:oncall:oncall-1m884jr8tabrrh89e6z-1m884jr8tabrrh89e6b',
  'cr_1m884jr8tabrrh89e6b',
  5,
  20,
);
grantOf('ben', OTHER, 30);
// A target that gives out the same name again, for another person.
login(OTHER, 'shared', 'cr_1m884jr8tabrrh89e6c', 31, 35);
grantOf('carla', LATER, 40);
login(LATER, 'shared', 'cr_1m884jr8tabrrh89e6d', 41, undefined);
add('access.revoked', 50, { user: 'oncall_ana_1m884jr8tabrrh89e6a' });

const find: FindEntries = async (values, events) =>
  entries.filter(
    ({ event, subject = {} }) =>
      (events?.includes(event) ?? true) && Object.values(subject).some((value) => values.has(value)),
  );
const minute = (n: number) => Date.UTC(2026, 0, 5, 2, n);
const usersOf = async (name: string, atMs?: number) =>
  (await traceName(find, name, atMs)).map(({ user, by, contradiction }) => [
    user,
    by,
    contradiction === null,
  ]);

describe('a name at a target', () => {
  test.each([
    ['oncall_ana_1m884jr8tabrrh89e6a', 'name'],
    ['  oncall_ana_1m884jr8tabrrh89e6a\n', 'name'],
    ['user=oncall_ana_1m884jr8tabrrh89e6a db=orders app=psql', 'name'],
    ["'oncall_ana_1m884jr8tabrrh89e6a'@'10.0.0.1'", 'name'],
    ['arn:aws:sts::123456789012:assumed-role/Responder/oncall_ana_1m884jr8tabrrh89e6a', 'name'],
    ['system:serviceaccount:oncall:oncall-1m884jr8tabrrh89e6z-1m884jr8tabrrh89e6b', 'name'],
    ['oncall-1m884jr8tabrrh89e6z-1m884jr8tabrrh89e6b', 'id'],
    [`oncall ${GRANT} P1-1`, 'id'],
    [`ana/${GRANT}/P1-1`, 'id'],
    [GRANT.toUpperCase(), 'id'],
    ['cr_1m884jr8tabrrh89e6a', 'id'],
  ])('as %j leads to its person', async (name, by) => {
    expect(await usersOf(name)).toEqual([['ana', by, true]]);
  });

  test('says all that led to it', async () => {
    const [trace] = await traceName(find, 'oncall_ana_1m884jr8tabrrh89e6a', undefined);
    expect(trace).toMatchObject({
      target: { resource: 'db-replica', role: 'read' },
      grantId: GRANT,
      requestId: GRANT.replace('gr_', 'req_'),
      reason: 'ana has a reason',
      incidents: ['P1-1'],
      logins: [
        {
          kind: 'postgres',
          deviceId: 'dev_1',
          issuedAt: '2026-01-05T02:01:00.000Z',
          endedAt: '2026-01-05T02:10:00.000Z',
          endCause: 'released',
          seen: [],
        },
      ],
    });
    expect(trace?.logins).toHaveLength(1);
  });

  test('that was given out twice is told by time, and without one leads to both, the newer first', async () => {
    expect(await usersOf('shared')).toEqual([
      ['carla', 'name', true],
      ['ben', 'name', true],
    ]);
    expect(await usersOf('shared', minute(33))).toEqual([['ben', 'name', true]]);
    expect(await usersOf('shared', minute(35))).toEqual([]);
    expect(await usersOf('shared', minute(90))).toEqual([['carla', 'name', true]]);
  });

  test('that names a grant shows those of its logins that were in force', async () => {
    const at = async (n: number) =>
      (await traceName(find, GRANT, minute(n)))[0]?.logins.map(({ credentialId }) => credentialId.slice(-1));
    expect([await at(2), await at(7), await at(15), await at(25)]).toEqual([
      ['a'],
      ['b', 'a'],
      ['b'],
      undefined,
    ]);
  });

  test('that lies is called out, and what it says is not what is answered', async () => {
    expect(await usersOf(`eve/${GRANT}/P1-1`)).toEqual([['ana', 'id', false]]);
    expect(await usersOf('oncall_eve_1m884jr8tabrrh89e6a')).toEqual([['ana', 'id', false]]);
    expect(await usersOf(`oncall_ana_1m884jr8tabrrh89e6a ${OTHER}`)).toEqual([['ana', 'name', false]]);
  });

  test.each(['ana', 'db-replica', 'P1-1', 'dev_1', '', 'gr_1m884jr8tabrrh89e6', `${GRANT}0`])(
    'that is none, %j, leads nowhere',
    async (name) => {
      expect(await usersOf(name)).toEqual([]);
    },
  );

  test('of many ids has only so many looked up', () => {
    const many = Array.from({ length: 100 }, (_, n) => `gr_${String(n).padStart(19, '0')}`).join(' ');
    const { handles, grants } = namesIn(many);
    expect(grants.size).toBe(10);
    expect(handles.size).toBeLessThan(50);
  });

  test('that nobody has is answered with when it was in force, or with what is near', async () => {
    const traces = await traceName(find, 'shared', undefined);
    expect(unknownName(traces, undefined).hint).toContain('2026-01-05T02:41:00.000Z to now');
    expect(unknownName([], 'shared').hint).toBe('did you mean shared');
  });
});
