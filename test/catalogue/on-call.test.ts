import { describe, expect, test } from 'vitest';
import { NOTICE_KINDS } from '../../src/catalogue/types.ts';
import { completeYaml } from './complete.ts';
import { edited, parse, placeIn } from './edited.ts';

const DAY_SECONDS = 86_400;

describe('a right catalogue', () => {
  const { catalogue } = parse(completeYaml);

  test('reads each kind of source, with the vendor’s address and what is usual', () => {
    expect(catalogue?.sources.get('pagerduty')).toEqual({
      id: 'pagerduty',
      settings: {
        kind: 'pagerduty',
        url: 'https://api.eu.pagerduty.com',
        token: { file: 'secrets/pagerduty' },
        webhookSecrets: [{ env: 'PD_WEBHOOK' }, { file: 'secrets/pd-old' }],
      },
      pollSeconds: 30,
      freshSeconds: 300,
      usableSeconds: 12 * 3600,
      priorities: { 'SEV-1': 'P1' },
      trusted: true,
    });
    const usual = { pollSeconds: 60, freshSeconds: 600, usableSeconds: DAY_SECONDS, priorities: {} };
    expect(catalogue?.sources.get('calendar')).toEqual({
      id: 'calendar',
      settings: { kind: 'ical', feed: { file: 'secrets/calendar' } },
      ...usual,
      trusted: true,
    });
    const settings = (id: string) => catalogue?.sources.get(id)?.settings;
    expect(settings('incidents')).toEqual({
      kind: 'incidentio',
      url: 'https://api.incident.io',
      token: undefined,
      webhookSecrets: [{ env: 'IIO' }],
    });
    expect(settings('ops')).toEqual({
      kind: 'jsm',
      url: 'https://api.atlassian.com/jsm/ops/api/cloud-1',
      user: 'bot@example.com',
      token: { env: 'JSM' },
    });
    expect(settings('rootly')).toEqual({ kind: 'rootly', webhookSecrets: [{ env: 'ROOTLY' }] });
    expect(settings('alertmanager')).toEqual({
      kind: 'alertmanager',
      bearer: { file: 'secrets/am' },
      clientCertificate: { caFile: 'am-ca.pem', names: ['am'] },
    });
  });

  test('trusts those that sign and say who declared an incident, others only where it says so', () => {
    const trusted = [...(catalogue?.sources.values() ?? [])].filter((source) => source.trusted);
    expect(trusted.map(({ id }) => id)).not.toContain('alertmanager');
    expect(trusted.map(({ id }) => id)).not.toContain('rootly');
    expect(trusted.length).toBe(4);
    const said = edited('{ type: alertmanager,', '{ type: alertmanager, trusted: true,').catalogue;
    expect(said?.sources.get('alertmanager')?.trusted).toBe(true);
    const not = edited('{ type: incidentio,', '{ type: incidentio, trusted: false,').catalogue;
    expect(not?.sources.get('incidents')?.trusted).toBe(false);
  });

  test('reads a schedule from one feed or several, with the levels that their kind has', () => {
    expect(catalogue?.schedules.get('payments-primary')).toEqual({
      id: 'payments-primary',
      timeZone: 'Etc/UTC',
      rotations: [],
      overrides: [],
      feeds: [
        { source: 'pagerduty', id: 'PSCHED1', level: undefined },
        { source: 'calendar', id: '', level: 2 },
      ],
    });
    const feeds = (from: string) =>
      edited(
        'from: [{ source: pagerduty, id: PSCHED1 }, { source: calendar, level: 2 }]',
        `from: ${from}`,
      ).catalogue?.schedules.get('payments-primary')?.feeds;
    expect(feeds('{ source: calendar }')).toEqual([{ source: 'calendar', id: '', level: 1 }]);
    expect(feeds('{ source: ops, id: s-1 }')).toEqual([{ source: 'ops', id: 's-1', level: 1 }]);
    expect(feeds('{ source: pagerduty, id: P1, level: 3 }')).toEqual([
      { source: 'pagerduty', id: 'P1', level: 3 },
    ]);
  });

  test('reads what a service opens, and what sources call it', () => {
    expect(catalogue?.services.get('orders')).toEqual({
      id: 'orders',
      schedules: ['orders-primary'],
      bundle: 'orders',
      ids: { pagerduty: ['PSVC1'], alertmanager: ['orders'] },
    });
    expect(catalogue?.services.get('payments')?.ids).toEqual({ pagerduty: ['PSVC2', 'PSVC3'] });
  });

  test('reads bundles and what opens them', () => {
    expect(catalogue?.bundles.get('orders')).toEqual({
      id: 'orders',
      description: 'Everything for orders',
      targets: [
        { resource: 'db-replica', role: 'read' },
        { resource: 'db-host', role: 'operator' },
      ],
    });
    expect(catalogue?.automation.get('orders-shift')).toEqual({
      id: 'orders-shift',
      on: { kind: 'shift', schedule: 'orders-primary' },
      maxLevel: 1,
      bundle: 'orders',
    });
    expect(catalogue?.automation.get('orders-alert')).toEqual({
      id: 'orders-alert',
      on: { kind: 'alert', service: 'orders', priorities: ['P1', 'P2'], labels: { team: 'orders' } },
      maxLevel: 2,
      bundle: 'orders',
    });
    const one = edited('priority: [P1, P2], labels: { team: orders }', 'priority: P3').catalogue;
    expect(one?.automation.get('orders-alert')?.on).toMatchObject({ priorities: ['P3'], labels: {} });
    const all = edited(', priority: [P1, P2], labels: { team: orders }', '').catalogue;
    expect(all?.automation.get('orders-alert')?.on).toMatchObject({ priorities: [], labels: {} });
  });

  test('reads channels, grace and reviews', () => {
    expect([...(catalogue?.channels.values() ?? [])]).toEqual([
      {
        id: 'chat',
        settings: { kind: 'slack', webhook: { file: 'secrets/slack' } },
        notices: ['approval', 'override'],
      },
      {
        id: 'mail',
        settings: {
          kind: 'email',
          host: 'mail.example.com',
          port: 587,
          tls: false,
          user: 'oncall',
          password: { env: 'MAIL' },
          from: 'oncall@example.com',
        },
        notices: NOTICE_KINDS,
      },
      {
        id: 'hook',
        settings: {
          kind: 'webhook',
          url: 'https://hooks.example.com/oncall',
          secret: { file: 'secrets/hook' },
        },
        notices: NOTICE_KINDS,
      },
      {
        id: 'events',
        settings: {
          kind: 'pagerduty-events',
          url: 'https://events.pagerduty.com/v2/enqueue',
          routingKey: { file: 'secrets/events' },
        },
        notices: NOTICE_KINDS,
      },
    ]);
    const overTls = edited('host: mail.example.com', 'host: mail.example.com, tls: true').catalogue;
    expect(overTls?.channels.get('mail')?.settings).toMatchObject({ port: 465, tls: true });
    expect(catalogue?.grace).toEqual({ incidentSeconds: 900, shiftSeconds: 300 });
    expect(catalogue?.reviews).toEqual({
      owners: [
        { kind: 'person', id: 'carla' },
        { kind: 'group', id: 'dba' },
      ],
      dueSeconds: DAY_SECONDS,
    });
  });

  test('has grace and reviews where it does not speak of them', () => {
    const { catalogue: quiet } = edited(
      'grace: { incident: 15m, shift: 5m }\nreviews: { owners: [carla, group:dba], due: 24h }\n',
      '',
    );
    expect(quiet?.grace).toEqual({ incidentSeconds: 600, shiftSeconds: 600 });
    expect(quiet?.reviews).toEqual({ owners: [{ kind: 'manager' }], dueSeconds: 3 * DAY_SECONDS });
  });
});

const AM =
  'alertmanager: { type: alertmanager, bearer: { file: secrets/am }, clientCertificate: { ca: am-ca.pem, names: [am] } }';
const SHIFT = 'on: { shift: orders-primary }';

describe('refuses, where it stands and with a hint', () => {
  test.each([
    // Sources
    ['a kind of source that does not exist', '{ type: ical,', '{ type: «icla,', 'ical'],
    [
      'a key of another kind',
      'feed: { file: secrets/calendar }',
      'feed: { file: secrets/calendar }, «token: { env: X }',
      'feed',
    ],
    ['a poll of what only sends', '{ type: rootly,', '{ type: rootly, «poll: 60s,', 'webhookSecrets'],
    [
      'a token that is written out',
      'token: { file: secrets/pagerduty }',
      'token: «u+hunter2hunter2',
      '{ file:',
    ],
    [
      'a calendar’s address that is written out',
      'feed: { file: secrets/calendar }',
      'feed: «https://cal.example/hunter2',
      '{ file:',
    ],
    [
      'a source that can neither be asked nor send',
      '{ type: incidentio, webhookSecrets: [{ env: IIO }] }',
      '«{ type: incidentio }',
      'token:',
    ],
    [
      'a sender without a secret',
      '{ type: rootly, webhookSecrets: [{ env: ROOTLY }] }',
      '«{ type: rootly, webhookSecrets: [] }',
      'webhookSecrets:',
    ],
    ['an Alertmanager that anybody could be', AM, 'alertmanager: «{ type: alertmanager }', 'bearer:'],
    [
      'a client certificate of anybody',
      'clientCertificate: { ca: am-ca.pem, names: [am] }',
      'clientCertificate: «{ ca: am-ca.pem }',
      'names:',
    ],
    ['a JSM without its site', 'url: "https://api.atlassian.com/jsm/ops/api/cloud-1", ', '', 'CLOUD_ID'],
    ['a source with a name of ours', '  rootly: {', '  «manual: {', 'another name'],
    ['a fresh longer than usable', 'fresh: 5m, usable: 12h', 'fresh: 5m, usable: «4m', 'raise usable'],
    ['a priority that is none', 'SEV-1: P1', 'SEV-1: «critical', 'P1, P2'],
    // Schedules
    ['a feed from nowhere', '{ source: pagerduty, id', '{ source: «pagerdty, id', 'pagerduty'],
    [
      'a feed from what only sends',
      '{ source: pagerduty, id',
      '{ source: «alertmanager, id',
      'another source',
    ],
    ['a feed from what cannot be asked', '{ source: pagerduty, id', '{ source: «incidents, id', 'token'],
    ['a feed without its schedule', '{ source: pagerduty, id: PSCHED1 }', '«{ source: pagerduty }', 'id:'],
    [
      'a calendar with an id',
      '{ source: calendar, level: 2 }',
      '{ source: calendar, id: «x }',
      'take the id away',
    ],
    [
      'the same feed twice',
      '{ source: calendar, level: 2 }',
      '«{ source: pagerduty, id: PSCHED1, level: 2 }',
      'keep one',
    ],
    [
      'a schedule that is written here and elsewhere',
      '    from: [{',
      '    «timeZone: Etc/UTC\n    from: [{',
      'keep from',
    ],
    // Services and people
    ['a bundle of a service that does not exist', 'bundle: orders, ids', 'bundle: «ordres, ids', 'orders'],
    ['an id at a source that does not exist', 'pagerduty: [PSVC2', '«pagerdty: [PSVC2', 'pagerduty'],
    ['an outside service that is two', '[PSVC2, PSVC3]', '[PSVC2, «PSVC1]', 'keep one'],
    [
      'an outside person who is two',
      'name: Ben Okri, groups',
      'name: Ben Okri, ids: { pagerduty: «PABC }, groups',
      'keep one',
    ],
    // Bundles
    ['a bundle of what does not exist', '[db-replica, "', '[«db-relpica, "', 'db-replica'],
    ['a bundle of a role that does not exist', '[db-replica, "', '[«"db-replica:wriet", "', 'write'],
    ['a bundle of what is no name', '[db-replica, "', '[«db/replica, "', 'RESOURCE:ROLE'],
    ['a bundle that names a target twice', '"db-host:operator"', '«"db-replica:read"', 'keep one'],
    [
      'an empty bundle',
      'targets: [db-replica, "db-host:operator"], description: Everything for orders',
      'targets: []',
      'targets:',
    ],
    ['a bundle named like a resource', '  orders: { targets', '  «db-host: { targets', 'another name'],
    // Automation
    ['a rule for a schedule that does not exist', SHIFT, 'on: { shift: «orders-pimary }', 'orders-primary'],
    [
      'a rule for a service that does not exist',
      'alert: { service: orders,',
      'alert: { service: «order,',
      'orders',
    ],
    [
      'a rule for a bundle that does not exist',
      `${SHIFT}, bundle: orders`,
      `${SHIFT}, bundle: «order`,
      'orders',
    ],
    ['a rule without an event', SHIFT, 'on: «{}', 'shift'],
    ['a rule with two events', SHIFT, 'on: «{ shift: orders-primary, alert: { service: orders } }', 'shift'],
    ['a rule for a priority that is none', 'priority: [P1, P2]', 'priority: [P1, «critical]', 'P1, P2'],
    // Channels
    ['a kind of channel that does not exist', '{ type: slack', '{ type: «slak', 'slack'],
    [
      'a Slack address that is written out',
      'webhook: { file: secrets/slack }',
      'webhook: «https://hooks.slack.com/services/hunter2',
      '{ file:',
    ],
    ['a notice that does not exist', '[override, approval]', '[«overide, approval]', 'override'],
    // What follows
    ['an owner who does not exist', 'owners: [carla, group:dba]', 'owners: [«crala, group:dba]', 'carla'],
  ])('%s', (_, from, marked, hint) => {
    const { catalogue, findings } = edited(from, marked.replace('«', ''));
    expect(catalogue).toBeUndefined();
    expect(JSON.stringify(findings)).not.toContain('hunter2');
    const place = marked.includes('«') ? placeIn(from, marked) : {};
    expect(findings).toContainEqual(
      expect.objectContaining({ severity: 'error', ...place, hint: expect.stringContaining(hint) }),
    );
  });

  test.each([
    ['an address in the clear', 'https://api.eu.pagerduty.com', 'http://api.eu.pagerduty.com'],
    ['an address with a password', 'https://api.eu.pagerduty.com', 'https://u:p@api.eu.pagerduty.com'],
    ['an address with a query', 'https://hooks.example.com/oncall', 'https://hooks.example.com/?token=x'],
    ['an address with an empty query', 'https://hooks.example.com/oncall', 'https://hooks.example.com/?'],
    ['an address with a fragment', 'https://hooks.example.com/oncall', 'https://hooks.example.com/#x'],
    ['an address that is a file', 'https://hooks.example.com/oncall', 'file:///etc/passwd'],
    ['a loopback that only begins like one', 'https://hooks.example.com', 'http://127.0.0.1.example.com'],
    ['a poll every second', 'poll: 30s', 'poll: 9s'],
    ['a poll every two hours', 'poll: 30s', 'poll: 61m'],
    ['a level of ten', 'level: 2 }]', 'level: 10 }]'],
    [
      'a schedule from nowhere at all',
      '[{ source: pagerduty, id: PSCHED1 }, { source: calendar, level: 2 }]',
      '[]',
    ],
    ['a rule for level 0', 'maxLevel: 2', 'maxLevel: 0'],
    ['a rule for no priority', 'priority: [P1, P2]', 'priority: []'],
    ['a label that is no text', 'labels: { team: orders }', 'labels: { team: 3 }'],
    ['a channel that sends nothing', 'notices: [override, approval]', 'notices: []'],
    ['mail with a user and no password', ', password: { env: MAIL }', ''],
    ['mail from what is no address', 'from: oncall@example.com', 'from: oncall'],
    ['mail from a host that is an option', 'host: mail.example.com', 'host: -x'],
    ['a grace without a unit', 'incident: 15m', 'incident: 15'],
    ['an unknown grace', 'incident: 15m', 'alert: 15m'],
    ['reviews by nobody', 'owners: [carla, group:dba]', 'owners: []'],
    ['a secret in two places', 'secret: { file: secrets/hook }', 'secret: { file: a, env: B }'],
  ])('%s', (_, from, to) => {
    const { catalogue, findings } = edited(from, to);
    expect(catalogue).toBeUndefined();
    expect(findings.some(({ severity }) => severity === 'error')).toBe(true);
  });

  test('nothing of a test’s own loopback', () => {
    for (const address of ['http://127.0.0.1:8080', 'http://[::1]:8080/api', 'http://localhost']) {
      const { catalogue } = edited('https://api.eu.pagerduty.com', `"${address}"`);
      expect(catalogue?.sources.get('pagerduty')?.settings).toMatchObject({ url: address });
    }
  });

  test('no id of people at all while there is no source yet', () => {
    const text = completeYaml.slice(0, completeYaml.indexOf('  payments-primary:'));
    expect(parse(text).findings).toEqual([]);
    expect(parse(text).catalogue?.people.get('ana')?.ids).toEqual({ pagerduty: 'PABC' });
  });

  test('no outside id that two sources happen to share', () => {
    const { findings } = edited('name: Ben Okri, groups', 'name: Ben Okri, ids: { rootly: PABC }, groups');
    expect(findings).toEqual([]);
  });
});

describe('warns of', () => {
  const warned = (text: string) => {
    const { catalogue, findings } = parse(text);
    expect(catalogue).toBeDefined();
    return findings;
  };

  test('an id at what is no source', () => {
    const [from, marked] = ['ids: { pagerduty: PABC }', 'ids: { «pagerdty: PABC }'];
    expect(warned(completeYaml.replace(from, marked.replace('«', '')))).toEqual([
      expect.objectContaining({
        severity: 'warning',
        ...placeIn(from, marked),
        hint: expect.stringContaining('pagerduty'),
      }),
    ]);
  });

  test('it once, however many people have one, and loads', () => {
    const people = Array.from({ length: 200 }, (_, i) => `  p${i}: { ids: { chat: U${i} } }\n`).join('');
    expect(warned(completeYaml.replace('people:\n', `people:\n${people}`))).toHaveLength(1);
  });

  test('hundreds of things without refusing them, until one is wrong', () => {
    const chains = Array.from({ length: 200 }, (_, i) => `  c${i}: { approvers: [carla] }\n`).join('');
    const text = completeYaml.replace('approvals:\n', `approvals:\n${chains}`);
    expect(warned(text)).toHaveLength(101);
    expect(parse(text.replace('grace: {', 'grase: {')).catalogue).toBeUndefined();
    expect(parse(text.replace('due: 24h', 'due: 24')).catalogue).toBeUndefined();
  });

  test('knowledge that is stale before it is asked for again', () => {
    expect(warned(completeYaml.replace('fresh: 5m', 'fresh: 30s'))).toEqual([
      expect.objectContaining({ severity: 'warning', message: expect.stringContaining('sources.pagerduty') }),
    ]);
  });

  test('a rule for alerts of a service that nobody is on call for', () => {
    const text = completeYaml
      .replace('payments: { schedules: [payments-primary], ids', 'payments: { ids')
      .replace('alert: { service: orders,', 'alert: { service: payments,');
    expect(warned(text)).toEqual([
      expect.objectContaining({ severity: 'warning', hint: expect.stringContaining('services.payments') }),
    ]);
  });

  test('a rule for levels that nobody holds', () => {
    const text = completeYaml
      .replace(SHIFT, 'on: { shift: payments-primary }')
      .replace(
        '[{ source: pagerduty, id: PSCHED1 }, { source: calendar, level: 2 }]',
        '{ source: calendar, level: 2 }',
      );
    expect(warned(text)).toEqual([
      expect.objectContaining({ severity: 'warning', hint: expect.stringContaining('maxLevel') }),
    ]);
  });
});
