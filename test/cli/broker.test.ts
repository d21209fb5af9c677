// The commands against the real broker, through the spawned command line.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { GrantView, RequestList, RequestView, TraceView } from '../../src/protocol/messages.ts';
import { install } from '../support/installation.ts';
import { runCli, startCli } from '../support/process.ts';
import { tempDir } from '../support/temp.ts';
import { type Json, startTeam, type Team } from './team.ts';

let home: Team['home'];
let as: Team['as'];
let json: Team['json'];
let askForApproval: Team['askForApproval'];
let catalogue: string;

interface Asked {
  request: RequestView;
  credentials: Json[];
}

beforeAll(async () => {
  ({ home, as, json, askForApproval, catalogue } = await startTeam());
});

describe('access, from request to release', () => {
  it('is granted, shown without network, renewed, and given back', async () => {
    const { request, credentials } = await json<Asked>('ana', 'request db-host -i P1-1 -d 30m');
    expect(request).toMatchObject({ state: 'granted', grants: [{ held: false }] });
    expect(credentials).toHaveLength(1);
    const status = await json('ana', 'status');
    expect(status).toMatchObject({ schema: 'oncall.status/v1', grants: [{ id: request.grants[0]!.id }] });

    const again = await json<Asked>('ana', 'request db-host -i P1-1');
    expect(again.request.grants[0]).toMatchObject({ id: request.grants[0]!.id, held: true });

    const renewed = await json<{ grants: GrantView[] }>('ana', 'renew db-host');
    expect(Date.parse(renewed.grants[0]!.endsAt)).toBeGreaterThan(Date.parse(request.grants[0]!.endsAt));
    // One extension is what the catalogue allows: the credential is fresh all the same.
    const refused = await as('ana', 'renew db-host --json');
    expect(refused.code).not.toBe(0);
    expect(JSON.parse(refused.stdout).credentials).toHaveLength(1);

    const released = await json('ana', 'release db-host');
    expect(released).toMatchObject({ grants: [{ state: 'ended' }], wipedHere: [request.grants[0]!.id] });
    expect(await json('ana', 'status')).toMatchObject({ grants: [] });
    expect(readdirSync(join(home.ana!, 'oncall/run/grants'))).toEqual([]);
    expect(readdirSync(join(home.ana!, 'oncall/state/credentials'))).toEqual([]);
  });

  it('shows no secret but where a credential is asked for', async () => {
    const request = await as('ana', 'request db-host -i P1-1 --json');
    const { privateKey } = await json('ana', 'credential db-host --format json');
    expect(privateKey).toContain('OPENSSH PRIVATE KEY');
    const key = String(privateKey).split('\n')[1]!;
    const others = await Promise.all(
      ['status --json', 'grants --json', 'status --refresh'].map((args) => as('ana', args)),
    );
    for (const { stdout, stderr } of [request, ...others]) expect(stdout + stderr).not.toContain(key);
    expect((await as('ana', 'credential db-host --format ssh')).stdout).toContain('Host db-host-1');
    expect((await as('ana', 'credential db-host --format pgpass')).code).toBe(2);
  });
});

describe('run', () => {
  it("gives the child its access and returns the child's code", async () => {
    const child = await runCli(
      ['run', 'db-host', '-i', 'P1-1', '--', 'sh', '-c', 'cat "$ONCALL_SSH_CONFIG"; exit 42'],
      {
        home: home.ana,
      },
    );
    expect(child).toMatchObject({ code: 42, stdout: expect.stringContaining('Host db-host-1') });
  });

  it('renews in the background while the child runs, which sees nothing of it', async () => {
    const script =
      'f=$(dirname "$ONCALL_SSH_CONFIG")/key-cert.pub; a=$(cat $f); until [ "$(cat $f)" != "$a" ]; do sleep 0.1; done; echo renewed';
    const child = await runCli(['run', 'short-lived', '-i', 'P1-1', '--', 'sh', '-c', script], {
      home: home.ana,
    });
    expect(child).toMatchObject({
      code: 0,
      stdout: 'renewed\n',
      stderr: expect.not.stringContaining('warning'),
    });
  });

  it('asks for nothing with --no-request', async () => {
    const { code, stdout, stderr } = await as('carla', 'run db-host --no-request --json -- echo ran');
    expect({ code, stdout, error: JSON.parse(stderr).code }).toEqual({
      code: 125,
      stdout: '',
      error: 'not_found',
    });
  });
});

describe('an approval', () => {
  it('is waited for, given by somebody else, and shortens', async () => {
    const id = await askForApproval();
    const waiting = startCli(['wait', id, '-o', 'ndjson'], { home: home.ana });
    await waiting.waitForOutput('"state":"pending"');
    expect((await as('ana', `approve ${id}`)).code).not.toBe(0);
    expect((await json<RequestList>('carla', 'approvals')).requests.map(({ id }) => id)).toContain(id);
    expect(await as('carla', `approve ${id} -d 10m`)).toMatchObject({ code: 0 });
    expect(await waiting.ended).toMatchObject({ code: 0 });
    expect(JSON.parse(waiting.stdout().trimEnd().split('\n').at(-1)!)).toMatchObject({
      schema: 'oncall.wait/v1',
      request: { state: 'granted' },
    });
    expect(await as('ana', 'release --all')).toMatchObject({ code: 0 });
  });

  it('that is denied is exit 3, with the reason', async () => {
    const id = await askForApproval();
    expect(await as('carla', `deny ${id} --reason staging-will-do`)).toMatchObject({ code: 0 });
    const { code, stderr } = await as('ana', `wait ${id}`);
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining('staging-will-do') });
  });

  it('that does not come in time is exit 8, and a cancelled request exit 6', async () => {
    const id = await askForApproval();
    expect(await as('ana', `wait ${id} --timeout 1s`)).toMatchObject({ code: 8 });
    expect(await as('ana', `cancel ${id}`)).toMatchObject({ code: 0 });
    expect(await as('ana', `wait ${id}`)).toMatchObject({ code: 6 });
  });
});

describe('status --watch', () => {
  it('writes each change once, until it is interrupted', async () => {
    const watching = startCli(['status', '--watch', '-o', 'ndjson'], { home: home.ben });
    await watching.waitForOutput('\n');
    const id = await askForApproval();
    await watching.waitForOutput('"approvalsWaiting":1');
    await as('ana', `cancel ${id}`);
    watching.kill('SIGINT');
    expect(await watching.ended).toMatchObject({ code: 130 });
    const lines = watching.stdout().trimEnd().split('\n');
    // The last may say what the first one said: the cancelled request waits no more.
    const states = lines.map((line) => ({ ...JSON.parse(line), brokerContactAt: 0, ageSeconds: 0 }));
    for (const [at, state] of states.slice(1).entries()) expect(state).not.toEqual(states[at]);
  });
});

describe('the audit log', () => {
  it('leads from a name at a target back to the person: from the broker, and offline from an export', async () => {
    const { credentials } = await json<Asked>('ana', 'request db-host -i P1-1');
    const handle = String(credentials[0]?.handle);
    expect(await as('ana', 'release db-host')).toMatchObject({ code: 0 });
    const asked = await json<{ traces: TraceView[] }>('dora', `audit who ${handle}`);
    expect(asked).toMatchObject({ schema: 'oncall.audit.who/v1', traces: [{ user: 'ana', by: 'name' }] });
    const file = join(tempDir(), 'log.ndjson');
    expect(await as('dora', `audit export -f ${file}`)).toMatchObject({ code: 0 });
    // On a machine that knows no broker.
    const offline = (...words: string[]) =>
      runCli(['audit', 'who', ...words, '--file', file], { home: tempDir() });
    const found = await offline(handle, '--json');
    expect({ ...asked, schema: '' }).toEqual({ ...JSON.parse(found.stdout), schema: '' });
    const shown = await offline(handle);
    expect(shown.stdout).toMatch(/^person\s+ana$/m);
    expect(shown.stderr).toContain(`oncall audit verify ${file}`);
    const at = asked.traces[0]?.logins[0]?.issuedAt ?? '';
    expect(await offline(handle, '--at', at)).toMatchObject({ code: 0 });
    const early = await offline(handle, '--at', '2020-01-01T00:00:00+01:00');
    expect({ code: early.code, stderr: early.stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/in force from \d\d:\d\d \(\S+ ago\) to now/),
    });
    expect(await offline('nobody')).toMatchObject({ code: 1 });
    expect(await offline(handle, '--at', 'yesterday')).toMatchObject({ code: 2 });
    writeFileSync(file, 'not an export\n');
    expect(await offline(handle)).toMatchObject({ code: 1 });
    expect(
      await runCli(['audit', 'who', handle, '--file', `${file}.gone`], { home: tempDir() }),
    ).toMatchObject({
      code: 1,
    });
  });

  it('is exported, verified offline with what this device kept, and an edit is found', async () => {
    const file = join(tempDir(), 'log.ndjson');
    // Ana may not read the log: nothing is left that looks like an export.
    expect(await as('ana', `audit export -f ${file}`)).toMatchObject({ code: 3 });
    expect(existsSync(file)).toBe(false);
    expect(await as('dora', `audit export -f ${file}`)).toMatchObject({ code: 0 });
    const kept = join(home.ana!, 'oncall/state/audit');
    const evidence = `--checkpoint ${join(kept, 'checkpoint')} --receipts ${join(kept, 'receipts')}`;
    expect(await json('ana', `audit verify ${file} ${evidence}`)).toMatchObject({
      schema: 'oncall.audit.verify/v1',
      holds: true,
      truncation: 'checked',
      logKey: 'pinned',
    });
    writeFileSync(file, readFileSync(file, 'utf8').replace('"incident.declared"', '"incident.resolved"'));
    const edited = await as('ana', `audit verify ${file} --json`);
    expect({ code: edited.code, error: JSON.parse(edited.stderr).code }).toEqual({
      code: 1,
      error: 'audit_invalid',
    });
    expect(edited.json()).toMatchObject({ holds: false, problems: [{ kind: 'edited' }] });
    expect(await as('dora', `audit export -f ${file}`)).toMatchObject({ code: 1 });
  });
});

describe('when the broker is away', () => {
  it('release wipes this machine all the same, and says what still stands', async () => {
    const other = await install({
      catalogue,
    });
    const running = await other.start();
    const [ana, ben] = [tempDir(), tempDir()];
    await runCli(['enroll', await other.invite('ana'), '--keystore', 'file'], { home: ana });
    await runCli(['enroll', await other.invite('ben'), '--keystore', 'file'], { home: ben });
    await runCli(['incident', 'declare', 'P1-1', '--service', 'orders', '--priority', 'P1'], { home: ben });
    expect(await runCli(['request', 'db-host', '-i', 'P1-1'], { home: ana })).toMatchObject({ code: 0 });
    await running.stop();
    const { code, stdout, stderr } = await runCli(['release', '--all'], { home: ana });
    expect({ code, stdout, stderr }).toMatchObject({
      code: 5,
      stdout: expect.stringContaining('wiped here only'),
      stderr: expect.stringContaining('the access itself stands'),
    });
    expect(readdirSync(join(ana, 'oncall/state/credentials'))).toEqual([]);
    expect(await runCli(['status'], { home: ana })).toMatchObject({ code: 0 });
  });
});
