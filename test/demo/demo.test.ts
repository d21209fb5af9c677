// The demo is what a newcomer sees first: it runs as `npm run demo` does, piped, and its story is looked for in what it shows.
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { part } from '../support/parts.ts';
import { startProcess, type TestProcess } from '../support/process.ts';

const LONGEST_MS = 240_000;

describe.skipIf(!part('postgres'))('the demo', () => {
  let demo: TestProcess;
  let shown: string;

  beforeAll(async () => {
    demo = startProcess(process.execPath, [resolve('dist/test/demo.js')]);
    demo.endInput();
    const { code } = await demo.ended;
    shown = demo.output();
    expect(`${shown}\nexit ${code}`).toMatch(/\nexit 0$/);
  }, LONGEST_MS);

  it('shows the main job: requested, used, renewed, released, refused', () => {
    expectInOrder([
      'oncall request db-replica --incident P1-123',
      /oncall_ana_\w+\|42 orders|oncall_ana_\w+ \| 42 orders/,
      'renewed db-replica:read',
      'ended db-replica:read',
      'password authentication failed',
    ]);
  });

  it('shows a session that stays open across three renewals by the agent, and the proof of its end', () => {
    const act = shown.slice(
      shown.indexOf('credentials of 20 seconds'),
      shown.indexOf('02:14, an alert fires'),
    );
    const who = /a session is open: (oncall_ana_\w+), (backend \d+)/.exec(act);
    expect(act.match(/renewed by the agent/g)).toHaveLength(3);
    expectInOrder([`the session is still the same: ${who?.[1]}, ${who?.[2]}`, 'ended orders-db:read'], act);
    expectInOrder(['the open session: ', 'password authentication failed', `proven: ${who?.[1]} `], act);
    if (part('mariadb')) expect(act).toMatch(/oncall_ana_\w+@%[\s\S]*billing:read[\s\S]*ended billing:read/);
    if (part('redis')) expect(act).toMatch(/redis-cli get answer\n +42\n/);
    // Every credential of the agent's was renewed, not this one alone.
    expect(act).not.toMatch(/:read +\d\d:\d\d \([^)]*\) +\S+ ago/);
  });

  it('shows break-glass: no broker, a real login by certificate, and all of it accounted for', () => {
    const act = shown.slice(shown.indexOf('the broker is killed'));
    expectInOrder(
      [
        'refuses connections',
        'BREAK-GLASS db-replica:read until',
        /breakglass-db-replica-read ?\| ?42 orders/,
        'BREAK-GLASS OPEN db-replica:read',
        'broker: unreachable since',
        'oncall broker serve',
        'review of what you opened',
        'told on the chat',
        'told on the webhook',
        'closed db-replica:read, opened by break-glass',
        /db-replica +\d\d:\d\d \([^)]+\) +1 /,
        'the broker is down, orders are stuck',
        'closed: justified break-glass of ana',
        /db-replica +- +2 /,
        /verdict +holds/,
      ],
      act,
    );
  });

  it('shows an alert that opens a bundle which nobody asked for', () => {
    expectInOrder(['/v1/webhooks/alertmanager → 202', 'oncall status', /ready: /, '42 orders']);
    for (const target of ['db-host:operator', 'db-replica:read'])
      expect(shown).toMatch(new RegExp(`${target} +alert \\(orders-down\\) .*ready: `));
  });

  it('shows a request that goes past a silent approver to one who says yes', () => {
    expectInOrder([
      'oncall request db-replica:write',
      'stage 1 of 2: asked carla',
      'dora $ oncall approve req_',
      'approved by dora',
      'oncall run db-replica:write',
    ]);
  });

  it('shows the incident resolve, all that was opened for it end, and the log hold', () => {
    const end = shown.slice(shown.indexOf('the incident resolves'));
    for (const target of ['db-host:operator', 'db-replica:read', 'db-replica:write'])
      expect(end).toMatch(new RegExp(`${target} +ended \\(incident \\w+ is resolved\\)`));
    expectInOrder(['is resolved', 'password authentication failed', /verdict +holds/], end);
  });

  it('is plain when piped', () => {
    expect(shown).not.toContain('\u001b');
  });

  it('leaves no file and no process behind', () => {
    const own = `oncall-demo-${demo.pid}-`;
    expect([...readdirSync('/tmp'), ...readdirSync(tmpdir())].filter((name) => name.startsWith(own))).toEqual(
      [],
    );
    expect(commandLines().filter((line) => line.includes(own))).toEqual([]);
  });

  function expectInOrder(parts: readonly (string | RegExp)[], text = shown) {
    let from = 0;
    for (const wanted of parts) {
      const rest = text.slice(from);
      const at = typeof wanted === 'string' ? rest.indexOf(wanted) : rest.search(wanted);
      expect(at, `${wanted} in:\n${rest}`).toBeGreaterThanOrEqual(0);
      from += at + 1;
    }
  }
});

/** Of all processes; empty where the system does not tell. */
function commandLines(): string[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        } catch {
          return [];
        }
      });
  } catch {
    return [];
  }
}
