// What `oncall credential` prints for a tool that asks at each of its calls: when the broker is asked, and when not.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../src/protocol/errors.ts';
import { tempDir } from '../support/temp.ts';
import { NOW, play } from './stage.ts';

const GRANT = 'gr_0123456789abcdefghj';
const V1 = 'client.authentication.k8s.io/v1';
const UNREACHABLE = new AppError('broker_unreachable', 'the broker does not answer');

/** A device that holds a token for prod which is good for so many seconds. */
function homeWith(seconds: number | undefined, roles = ['read']) {
  const home = tempDir({ mode: 0o700 });
  const grants = roles.map((role, index) => ({
    id: index === 0 ? GRANT : 'gr_1123456789abcdefghj',
    target: { resource: 'prod', role },
    kind: 'kubernetes',
    state: 'active',
    endsAt: '2026-01-05T04:14:00.000Z',
  }));
  mkdirSync(join(home, 'state'), { mode: 0o700 });
  const status = JSON.stringify({ schema: 'oncall.status/v1', grants, pending: [] });
  writeFileSync(join(home, 'state', 'status.json'), status, { mode: 0o600 });
  if (seconds !== undefined) {
    const folder = join(home, 'run', 'grants', GRANT);
    for (const path of ['run', 'run/grants', `run/grants/${GRANT}`])
      mkdirSync(join(home, path), { mode: 0o700 });
    const expirationTimestamp = new Date(NOW + seconds * 1000).toISOString();
    const text = JSON.stringify({
      apiVersion: V1,
      kind: 'ExecCredential',
      status: { token: 'kept', expirationTimestamp },
    });
    writeFileSync(join(folder, 'exec-credential.json'), `${text}\n`, { mode: 0o600 });
  }
  return home;
}

const ask = (home: string, answer: unknown, format = 'kubectl', env = {}) =>
  play(['credential', 'prod', '--format', format], {
    env: { ONCALL_HOME: home, ...env },
    answers: { 'GET /v1/grants?all=false': answer, 'GET /v1/grants': answer },
  });

describe('a token that kubectl asks for', () => {
  test('comes from this machine while it is good for long, and nobody is asked', async () => {
    const { code, stdout, calls } = await ask(homeWith(300), UNREACHABLE);
    expect({ code, calls }).toEqual({ code: 0, calls: [] });
    expect(JSON.parse(stdout)).toMatchObject({ apiVersion: V1, status: { token: 'kept' } });
  });

  test.each([
    ['the broker does not answer', UNREACHABLE],
    ['the cluster does not', new AppError('target_unreachable', 'prod cannot be reached')],
    ['policy refuses the renewal', new AppError('denied', 'the incident is closed')],
  ])('is used to its end where %s, with a word about it', async (_, failure) => {
    const { code, stdout, stderr, calls } = await ask(homeWith(100), failure);
    expect(code).toBe(0);
    expect(calls).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({ status: { token: 'kept' } });
    expect(stderr).toContain('not renewed');
  });

  test('is not printed once it has run out, whatever the reason', async () => {
    for (const seconds of [0, -1, undefined]) {
      const { code, stdout } = await ask(homeWith(seconds), UNREACHABLE);
      expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
    }
  });

  test('is not printed when the broker says that nothing is held any more', async () => {
    const { code, stdout, stderr } = await ask(homeWith(100), { grants: [] });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('oncall request prod');
  });

  test('is not guessed where several roles are held', async () => {
    const { code, stdout, stderr } = await ask(homeWith(300, ['read', 'edit']), UNREACHABLE);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('prod:read, prod:edit');
  });

  test('comes in the version that is asked for, or not at all', async () => {
    const info = (apiVersion: unknown, kind = 'ExecCredential') => ({
      KUBERNETES_EXEC_INFO: JSON.stringify({ apiVersion, kind, spec: {} }),
    });
    const older = 'client.authentication.k8s.io/v1beta1';
    const { stdout } = await ask(homeWith(300), UNREACHABLE, 'kubectl', info(older));
    expect(JSON.parse(stdout)).toMatchObject({ apiVersion: older, status: { token: 'kept' } });
    for (const env of [
      info('client.authentication.k8s.io/v2'),
      info(7),
      info(V1, 'Pod'),
      { KUBERNETES_EXEC_INFO: 'x' },
    ]) {
      expect(await ask(homeWith(300), UNREACHABLE, 'kubectl', env)).toMatchObject({ code: 2, stdout: '' });
    }
  });

  test('is asked of the broker where a person wants to see it', async () => {
    expect(await ask(homeWith(300), UNREACHABLE, 'json')).toMatchObject({ code: 5, stdout: '' });
  });
});
