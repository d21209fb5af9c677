import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/protocol/errors.ts';
import { tempDir } from '../support/temp.ts';
import { type Played, play, type Stage } from './stage.ts';
import {
  bundle,
  DEVICE_ID,
  denied,
  device,
  ended,
  explanation,
  GRANT_ID,
  grant,
  incident,
  me,
  pending,
  REQUEST_ID,
  request,
  resource,
  review,
  statusReply,
  trace,
  waiting,
} from './views.ts';

const useReview = {
  ...review,
  ...{ id: 'rev_01kdzabcdefghjkmnp2', kind: 'break-glass', requestId: null, grantId: null },
  use: {
    ...{ device: DEVICE_ID, seq: 3, pack: 'bg_01kdzabcdefghjkmnp0', slot: 2 },
    ...{ resource: 'db-replica', role: 'read', reason: 'down', incident: null, drill: false },
    ...{ openedAt: '2026-01-05T01:00:00.000Z', reconciledAt: '2026-01-05T02:00:00.000Z' },
    ...{ tools: ['psql', 'ssh'], notes: ['the pack had been revoked at 2026-01-05T00:00:00.000Z'] },
  },
};
const journalReview = {
  ...useReview,
  ...{ id: 'rev_01kdzabcdefghjkmnp3', use: null },
  journal: { device: DEVICE_ID, why: 'entry 4 is missing before it' },
};

/** Each command with the answers it needs, and what a person must be able to read from it. */
const CASES: [args: string, answers: NonNullable<Stage['answers']>, shown: string[]][] = [
  ['whoami', { 'GET /v1/me': me }, ['alice', 'laptop', 'on call for orders-primary', 'phone']],
  [
    'resources',
    { 'GET /v1/resources': { resources: [resource], bundles: [bundle] } },
    ['db-replica', 'read* write', '2h, at most 4h', 'orders-incident', 'db-replica:read db-host:operator'],
  ],
  [
    'status --refresh',
    { 'GET /v1/status': statusReply, 'GET /v1/resources': { resources: [resource], bundles: [bundle] } },
    [
      'alert (orders-alert)',
      'ready: oncall run db-host:operator -- …',
      'db-replica:read ends in 8m: incident P1-123 is resolved',
      'pending orders-incident',
      'leads, stage 1 of 2: asked carla (told), dave (no channel leads there); missing: 1 of group:leads; then ben in 4m',
      'review of zoe is yours to close, overdue since',
      'of what you opened, due',
      'channel slack has not delivered for 5m',
    ],
  ],
  [
    'resources',
    {
      'GET /v1/resources': {
        resources: [{ ...resource, taintedAt: '2026-01-05T01:00:00.000Z' }],
        bundles: [],
      },
    },
    ['TAINTED BY BREAK-GLASS', 'since '],
  ],
  [
    'break-glass list',
    {
      'GET /v1/break-glass/resources': {
        resources: [
          {
            ...{ resource: 'db-replica', epoch: 3, rotatedAt: null, reviews: [useReview.id] },
            taintedAt: '2026-01-05T01:00:00.000Z',
          },
        ],
      },
    },
    ['db-replica', '3', useReview.id],
  ],
  [
    'break-glass list',
    { 'GET /v1/break-glass/resources': { resources: [] } },
    ['no resource has break-glass'],
  ],
  [
    'reviews list',
    { 'GET /v1/reviews': { reviews: [useReview, journalReview] } },
    ['db-replica:read: down', 'the journal of dev_'],
  ],
  [
    `reviews show ${useReview.id}`,
    { [`GET /v1/reviews/${useReview.id}`]: useReview },
    [
      'db-replica:read',
      'down',
      'psql ssh',
      'slot 2',
      'by the clock of the device',
      'the pack had been revoked',
    ],
  ],
  [
    `reviews show ${journalReview.id.slice(0, -1)}`,
    {
      'GET /v1/reviews': { reviews: [journalReview] },
      [`GET /v1/reviews/${journalReview.id}`]: {
        ...journalReview,
        state: 'closed',
        outcome: 'misuse',
        closedBy: 'bob',
        closedAt: '2026-01-05T02:14:00.000Z',
        note: 'looked',
      },
    },
    ['closed: misuse', 'entry 4 is missing', 'by bob', 'looked'],
  ],
  ['reviews list', { 'GET /v1/reviews': { reviews: [review] } }, [review.id, 'alice', 'override', 'bob']],
  [
    `reviews close ${review.id.slice(0, -1)} --outcome drill --note tested`,
    {
      'GET /v1/reviews': { reviews: [review] },
      [`POST /v1/reviews/${review.id}/close`]: {
        ...review,
        ...{ state: 'closed', outcome: 'drill', note: 'tested', closedBy: 'bob' },
        closedAt: '2026-01-05T02:14:00.000Z',
      },
    },
    ['closed: drill', 'override of alice', 'by bob'],
  ],
  ['incident reopen #4711', { 'POST /v1/incidents/%234711/reopen': incident }, ['open', 'P1-123']],
  ['devices list', { 'GET /v1/devices': { devices: [device] } }, ['laptop (this one)', 'never', DEVICE_ID]],
  ['devices list --user bob', { 'GET /v1/devices?user=bob': { devices: [] } }, ['DEVICE']],
  [
    `devices revoke ${DEVICE_ID}`,
    { [`POST /v1/devices/${DEVICE_ID}/revoke`]: { ...device, current: false } },
    ['revoked', 'laptop'],
  ],
  [
    'devices add',
    { 'POST /v1/devices/invite': { url: 'https://b:7443/#x-y', expiresAt: '2026-01-05T02:24:00.000Z' } },
    ["oncall enroll 'https://b:7443/#x-y'"],
  ],
  [
    'incident declare P1-123 --service orders --priority p1 --title x',
    { 'POST /v1/incidents': incident },
    ['open', 'P1-123', 'checkout fails'],
  ],
  ['incident list', { 'GET /v1/incidents?state=open': { incidents: [incident] } }, ['P1-123', 'bob']],
  ['incident list --all', { 'GET /v1/incidents': { incidents: [] } }, ['no open incident']],
  ['incident show P1-123', { 'GET /v1/incidents/P1-123': incident }, ['P1-123', 'checkout fails']],
  [
    'incident resolve P1-123',
    {
      'POST /v1/incidents/P1-123/resolve': { ...incident, state: 'resolved', resolvedAt: incident.startedAt },
    },
    ['resolved'],
  ],
  [
    'approvals',
    { 'GET /v1/approvals': { requests: [{ ...pending, bundle: 'orders-incident', waiting: [waiting] }] } },
    [REQUEST_ID, 'orders-incident: db-replica:read', '2h', '1/2', 'carla dave'],
  ],
  [
    `approve ${REQUEST_ID} --for 30m`,
    { [`GET /v1/requests/${REQUEST_ID}`]: pending, [`POST /v1/requests/${REQUEST_ID}/approve`]: request },
    ['granted', 'on call, with an open incident'],
  ],
  [
    `deny ${REQUEST_ID} --reason no`,
    {
      [`GET /v1/requests/${REQUEST_ID}`]: pending,
      [`POST /v1/requests/${REQUEST_ID}/deny`]: {
        ...pending,
        state: 'denied',
        answers: [{ approver: 'bob', verdict: 'deny', reason: 'no', at: '2026-01-05T02:14:00.000Z' }],
      },
    },
    ['denied by bob', ': no'],
  ],
  [
    `cancel ${REQUEST_ID}`,
    { [`POST /v1/requests/${REQUEST_ID}/cancel`]: { ...pending, state: 'cancelled' } },
    ['cancelled'],
  ],
  ['grants', { 'GET /v1/grants': { grants: [grant] } }, ['db-replica:read', 'active', 'in 1h42m', GRANT_ID]],
  [
    'grants',
    { 'GET /v1/grants': { grants: statusReply.grants } },
    ['ready', 'alert (orders-alert)', 'policy', 'in 8m'],
  ],
  ['grants --all', { 'GET /v1/grants?all=true': { grants: [ended] } }, ['USER', 'alice', 'ended (released)']],
  [
    'explain db-replica -i P1-123 --reason -d 2h',
    { 'POST /v1/explain': explanation },
    ['granted by policy', 'on-call-read', 'unknown', 'if you were not on call: denied'],
  ],
  [
    'request db-replica --dry-run',
    { 'POST /v1/requests/dry-run': { ...request, id: '', grants: [] } },
    ['nothing was recorded'],
  ],
  [
    `revoke ${GRANT_ID} --reason leaving -y`,
    { 'POST /v1/revoke/dry-run': { grants: [grant] }, 'POST /v1/revoke': { grants: [ended] } },
    ['ended', 'proven: role absent'],
  ],
  [
    'audit list -n 1',
    {
      'GET /v1/audit/entries?from=0&limit=1': { size: 8, entries: [] },
      'GET /v1/audit/entries?from=7&limit=1': {
        size: 8,
        entries: [
          {
            index: 7,
            leafHash: '',
            entry: JSON.stringify({
              index: 7,
              at: '2026-01-05T02:14:00.000Z',
              event: 'grant.created',
              actor: { kind: 'user', id: 'alice' },
              subject: { grant: GRANT_ID },
            }),
          },
        ],
      },
    },
    ['7', 'grant.created', 'alice', GRANT_ID],
  ],
  [
    'audit who oncall_alice_1',
    { 'GET /v1/audit/who?name=oncall_alice_1': trace },
    ['alice', 'db-replica:read', 'by its name', 'carla', 'P1-123', 'replaced', 'dev_1'],
  ],
];

describe.each(CASES)('oncall %s', (args, answers, shown) => {
  const words = args.split(' ');

  it('says in a pipe what a person needs, without colour', async () => {
    const { code, stdout, stderr } = await play(words, { answers });
    expect({ code, stderr: stderr.includes('error') }).toEqual({ code: 0, stderr: false });
    for (const text of shown) expect(stdout).toContain(text);
    expect(stdout).not.toContain('\u001b');
    // Times are local for people.
    expect(stdout).not.toMatch(/\d{4}-\d\d-\d\dT\d\d/);
  });

  it('says the same in colour on a terminal', async () => {
    const [plain, colored] = [await play(words, { answers }), await play(words, { answers, terminal: true })];
    expect(colored.stdout.replace(/\u001b\[\d+m/g, '')).toBe(plain.stdout);
  });

  it('is one versioned object as JSON, and a line as ndjson', async () => {
    const name = words
      .slice(
        0,
        words[0] && ['devices', 'incident', 'reviews', 'audit', 'break-glass'].includes(words[0]) ? 2 : 1,
      )
      .join('.');
    const json = await play([...words, '--json'], { answers });
    expect(JSON.parse(json.stdout)).toMatchObject({ schema: `oncall.${name}/v1` });
    const line = await play([...words, '-o', 'ndjson'], { answers });
    expect(line.stdout.trimEnd()).not.toContain('\n');
    expect(JSON.parse(line.stdout)).toEqual(JSON.parse(json.stdout));
  });
});

function bodyOf({ calls }: Played, call: string): unknown {
  return calls.find((made) => made.call === call)?.body;
}

describe('what a list shows', () => {
  it.each([
    [
      'resources',
      'GET /v1/resources',
      { resources: [resource], bundles: [bundle] },
      'roles',
      'db-replica:write',
    ],
    ['approvals', 'GET /v1/approvals', { requests: [pending] }, 'approvals', pending.id],
    ['incident list', 'GET /v1/incidents?state=open', { incidents: [incident] }, 'incidents', 'P1-123'],
  ])(
    '%s can be completed from then on, or not where nothing can be written',
    async (args, call, answer, list, name) => {
      const home = tempDir();
      const stage = { answers: { [call]: answer }, env: { ONCALL_HOME: home } };
      expect(await play(args.split(' '), stage)).toMatchObject({ code: 0 });
      expect(readFileSync(join(home, 'cache', 'complete', list), 'utf8')).toMatch(
        new RegExp(`^${name}(\\t.+)?$`, 'm'),
      );
      rmSync(join(home, 'cache'), { recursive: true });
      writeFileSync(join(home, 'cache'), '');
      expect(await play(args.split(' '), stage)).toMatchObject({
        code: 0,
        stderr: expect.not.stringContaining('cache'),
      });
    },
  );
});

describe('what is asked of the broker', () => {
  it('is what was typed, ONCALL_INCIDENT standing in for -i', async () => {
    const answers = { 'POST /v1/requests/dry-run': { ...request, id: '' } };
    const words = ['request', 'db:write', 'web', '-r', 'why', '-d', '45m', '--dry-run'];
    const played = await play(words, { answers, env: { ONCALL_INCIDENT: 'P1-9' } });
    expect(bodyOf(played, 'POST /v1/requests/dry-run')).toEqual({
      targets: [{ resource: 'db', role: 'write' }, { resource: 'web' }],
      incident: 'P1-9',
      reason: 'why',
      durationSeconds: 2700,
    });
    const overruled = await play([...words, '-i', 'P1-1'], { answers, env: { ONCALL_INCIDENT: 'P1-9' } });
    expect(bodyOf(overruled, 'POST /v1/requests/dry-run')).toMatchObject({ incident: 'P1-1' });
  });

  it('is the bundle of the incident where no target is named, and the bundle by its name', async () => {
    const answers = { 'POST /v1/requests/dry-run': { ...request, id: '' } };
    const bodies = async (words: string, env = {}) =>
      bodyOf(await play([...words.split(' '), '--dry-run'], { answers, env }), 'POST /v1/requests/dry-run');
    const url = 'https://example.pagerduty.com/incidents/Q2X4';
    expect(await bodies(`request -i ${url}`)).toEqual({ targets: [], incident: url });
    expect(await bodies('request', { ONCALL_INCIDENT: '#4711' })).toEqual({ targets: [], incident: '#4711' });
    expect(await bodies('request orders-incident')).toEqual({ targets: [{ resource: 'orders-incident' }] });
  });

  it('approves the digest that was read, never one that was typed', async () => {
    const answers = {
      [`GET /v1/requests/${REQUEST_ID}`]: pending,
      [`POST /v1/requests/${REQUEST_ID}/approve`]: request,
    };
    const played = await play(['approve', REQUEST_ID, '-d', '30m'], { answers });
    expect(bodyOf(played, `POST /v1/requests/${REQUEST_ID}/approve`)).toEqual({
      digest: pending.digest,
      durationSeconds: 1800,
    });
  });

  it('revokes exactly the grants that were shown', async () => {
    const answers = {
      'POST /v1/revoke/dry-run': { grants: [grant] },
      'POST /v1/revoke': { grants: [ended] },
    };
    const played = await play(['revoke', '--user', 'alice', '--reason', 'leaving', '-y'], { answers });
    expect(bodyOf(played, 'POST /v1/revoke/dry-run')).toEqual({ user: 'alice', reason: 'leaving' });
    expect(bodyOf(played, 'POST /v1/revoke')).toEqual({ grants: [GRANT_ID], reason: 'leaving' });
  });
});

describe('ids', () => {
  const second = { ...grant, id: 'gr_01kdzabcdefghjkmnzz' };
  const answers = {
    'GET /v1/grants?all=true': { grants: [grant, second] },
    'POST /v1/revoke/dry-run': { grants: [grant] },
    'POST /v1/revoke': { grants: [ended] },
  };
  const revoke = (id: string) => play(['revoke', id, '--reason', 'x', '-y', '--json'], { answers });

  it('may be typed as any unique beginning; the full one is what is sent', async () => {
    const played = await revoke(GRANT_ID.slice(0, -1));
    expect(bodyOf(played, 'POST /v1/revoke')).toEqual({ grants: [GRANT_ID], reason: 'x' });
    const short = await play(['deny', REQUEST_ID.slice(4, 12), '--reason', 'no'], {
      answers: {
        'GET /v1/approvals': { requests: [pending] },
        [`GET /v1/requests/${REQUEST_ID}`]: pending,
        [`POST /v1/requests/${REQUEST_ID}/deny`]: denied,
      },
    });
    expect(short.code).toBe(0);
  });

  it('that fit several things are refused, naming them', async () => {
    const { code, stderr, calls } = await revoke('gr_01kdz');
    expect({ code, error: JSON.parse(stderr) }).toMatchObject({ code: 2, error: { code: 'ambiguous' } });
    expect(stderr).toContain(second.id);
    expect(calls.map(({ call }) => call)).toEqual(['GET /v1/grants?all=true']);
  });

  it('that fit nothing are not found', async () => {
    const { code, stderr } = await revoke('gr_zzz');
    expect({ code, error: JSON.parse(stderr) }).toMatchObject({ code: 1, error: { code: 'not_found' } });
  });
});

// A broker that cannot say why is no reason for another error.
const unwilling = new AppError('rate_limited', 'not now');

describe('a request that is not granted', () => {
  const ask = (answer: object, ...more: string[]) =>
    play(['request', 'db-replica', ...more], {
      answers: { 'POST /v1/requests': answer, 'POST /v1/explain': unwilling },
    });

  it('is exit 3 with the words of the rules and what to do next', async () => {
    const { code, stdout, stderr } = await ask(denied);
    expect(code).toBe(3);
    expect(stdout).toContain('you declared this incident yourself');
    expect(stderr).toContain('error: db-replica:read: you declared this incident yourself');
    expect(stderr).toContain(`hint: oncall explain ${REQUEST_ID}`);
  });

  it('is said with what would change it, and leads to the next thing to type', async () => {
    const changes = [
      { change: 'shift.onCall', words: 'if you were on call for orders', effect: 'grant' },
      { change: 'role', words: 'if you asked for db-replica:read', effect: 'ask' },
    ] as const;
    const asked = { ...denied.targets[0]!, target: { resource: 'db-replica', role: 'write' } };
    const answers = {
      'POST /v1/requests': { ...denied, targets: [asked] },
      'POST /v1/explain': { ...explanation, decision: asked, changes },
    };
    const { code, stderr } = await play(['request', 'db-replica:write', '-i', 'P1-123'], { answers });
    expect(code).toBe(3);
    expect(stderr).toContain('oncall: if you were on call for orders: granted\n');
    expect(stderr).toContain(
      "hint: oncall request db-replica:read -i P1-123; where it cannot wait: oncall break-glass db-replica:write -i P1-123 --reason '…'\n",
    );
    const json = await play(['request', 'db-replica:write', '-i', 'P1-123', '--json'], { answers });
    expect(JSON.parse(json.stderr)).toMatchObject({
      code: 'denied',
      details: { requestId: REQUEST_ID, changes },
    });
  });

  it('by a person says whom to ask, and looks at no rule', async () => {
    const answer = { approver: 'bob', verdict: 'deny', reason: 'no', at: '2026-01-05T02:14:00.000Z' };
    const { stderr, calls } = await ask({ ...pending, state: 'denied', answers: [answer] });
    expect(stderr).toContain(
      'hint: ask bob; where it cannot wait: oncall break-glass db-replica:read -i P1-123',
    );
    expect(calls.map(({ call }) => call)).toEqual(['POST /v1/requests']);
  });

  it('is exit 8 with --no-wait, naming who can answer', async () => {
    const { code, stderr, stdout } = await ask(pending, '--no-wait', '--json');
    expect({ code, error: JSON.parse(stderr) }).toMatchObject({ code: 8, error: { code: 'pending' } });
    expect(stderr).toContain('bob, carol');
    expect(JSON.parse(stdout)).toMatchObject({ schema: 'oncall.request/v1', request: { state: 'pending' } });
  });

  it('is exit 6 when it expired or was cancelled', async () => {
    expect((await ask({ ...pending, state: 'expired' })).code).toBe(6);
    expect((await ask({ ...pending, state: 'cancelled' })).code).toBe(6);
  });

  it('names the approver who said no', async () => {
    const answers = [
      { approver: 'bob', verdict: 'deny', reason: 'use staging', at: '2026-01-05T02:14:00.000Z' },
    ];
    expect((await ask({ ...pending, state: 'denied', answers })).stderr).toContain(
      'bob said no: use staging',
    );
  });

  it('streams the waiting as ndjson: pending first, the answer last', async () => {
    const played = await play(['request', 'db-replica', '-o', 'ndjson'], {
      answers: {
        'POST /v1/requests': pending,
        [`GET /v1/requests/${REQUEST_ID}?waitSeconds=25`]: denied,
        'POST /v1/explain': unwilling,
      },
    });
    const states = played.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).request.state);
    expect({ code: played.code, states }).toEqual({ code: 3, states: ['pending', 'denied'] });
  });
});

/** A promise and what resolves it. */
function gate(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

describe('waiting', () => {
  const path = `GET /v1/requests/${REQUEST_ID}`;
  const event = (id: number, name: string, subject = {}) =>
    Buffer.from(
      `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify({ position: id - 1, event: name, subject })}\n\n`,
    );

  it('looks when something of the request is heard, and says each change once', async () => {
    const asked = { ...pending, waiting: [waiting] };
    const later = {
      ...asked,
      waiting: [{ ...waiting, stage: 2, asked: [{ user: 'ben', reach: 'sent' }], next: null }],
    };
    // At first, at the greeting (not at what is another's), at the next stage, at the answer.
    const views = [asked, asked, later, denied];
    const looked = [...views, denied].map(() => gate());
    let looks = 0;
    const played = await play(['wait', REQUEST_ID, '-o', 'ndjson'], {
      answers: {
        [path]: () => {
          looked[looks]?.resolve();
          return views[looks++];
        },
        'POST /v1/explain': unwilling,
      },
      stream: async function* (signal) {
        yield event(1, 'hello');
        yield event(2, 'grant.created', { user: 'alice', grant: GRANT_ID });
        for (const number of [1, 2]) {
          await looked[number]?.promise;
          yield event(number + 2, 'request.asked', { request: REQUEST_ID });
        }
        await new Promise((resolve) => signal?.addEventListener('abort', resolve));
      },
    });
    expect(looks).toBe(4);
    const lines = played.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(
      lines.map(
        ({
          request: {
            state,
            waiting: [one],
          },
        }) => one?.stage ?? state,
      ),
    ).toEqual([1, 2, 'denied']);
    expect(played.code).toBe(3);
    expect(played.stderr).toContain('waits for carla, dave');
    expect(played.stderr).toContain('leads, stage 2 of 2: asked ben (told); missing');
  });
});

describe('an error of the broker', () => {
  it('is shown with its hint, and its correlation id as JSON', async () => {
    const error = new AppError('rate_limited', 'slow down', {
      hint: 'wait a minute',
      correlationId: 'cor_1',
    });
    const { code, stderr } = await play(['grants', '--json'], { answers: { 'GET /v1/grants': error } });
    expect({ code, error: JSON.parse(stderr) }).toMatchObject({
      code: 1,
      error: { code: 'rate_limited', hint: 'wait a minute', correlationId: 'cor_1' },
    });
  });

  it('cannot steer the terminal, nor can a name from outside', async () => {
    const hostile = '\u001b]0;owned\u0007';
    const error = new AppError('denied', hostile, { hint: hostile });
    const refused = await play(['grants'], { answers: { 'GET /v1/grants': error }, terminal: true });
    expect(refused.stderr).not.toMatch(/\u001b\]|\u0007/);
    const incidents = [{ ...incident, title: hostile, declaredBy: hostile }];
    const listed = await play(['incident', 'list'], {
      answers: { 'GET /v1/incidents?state=open': { incidents } },
      terminal: true,
    });
    expect(listed.stdout).not.toMatch(/\u001b\]|\u0007/);
  });
});
