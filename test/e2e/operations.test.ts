// What the operator does to a broker that people use: TLS keys, reloading, restoring, a port that is taken, and `check`.
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { GrantList, RequestView } from '../../src/protocol/messages.ts';
import { runCli, startProcess } from '../support/process.ts';
import { SSH_LOGIN } from '../support/sshd.ts';
import { freePort, tempDir } from '../support/temp.ts';
import { createWorld, errorOf, NO_HOST_KEY, PEOPLE, sshResource, succeeded, type World } from './world.ts';

let world: World;
let catalogue: string;

// No host answers there: what is asked for here is decided, and issued, before any host is called.
beforeAll(async () => {
  const host = { host: '127.0.0.1', port: await freePort() };
  catalogue = `${PEOPLE}\nresources:${sshResource(host, SSH_LOGIN, NO_HOST_KEY)}`;
  world = await createWorld(catalogue);
  await world.serve();
  await world.enroll('ana', 'ben', 'carla', 'dora');
  succeeded(await world.as('dora', 'incident declare P1-1 --service orders --priority P1'));
}, 60_000);

/** The fingerprint of the certificate that the broker shows now. */
function shownCertificate(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: world.port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('the TLS key', () => {
  it('is rotated, taken at SIGHUP, and no device has to do anything', async () => {
    const before = await shownCertificate();
    succeeded(await world.operator('broker rotate tls'));
    expect(await shownCertificate()).toBe(before);
    await world.reload('catalogue and policy reloaded');
    expect(await shownCertificate()).not.toBe(before);
    const whoami = succeeded(await world.as('ana', 'whoami --json'));
    expect(whoami).toMatchObject({ stderr: '' });
    expect(whoami.json()).toMatchObject({ user: 'ana' });
  });

  it('that cannot be used at SIGHUP leaves the old one in force, and the log says so', async () => {
    const before = await shownCertificate();
    const good = world.read('keys/tls.crt');
    world.write('keys/tls.crt', 'not a certificate\n');
    try {
      await world.reload(/"level":50.*tls/i);
      expect(await shownCertificate()).toBe(before);
      succeeded(await world.as('ana', 'whoami'));
    } finally {
      world.write('keys/tls.crt', good);
    }
    await world.reload('catalogue and policy reloaded');
  });
});

describe('SIGHUP', () => {
  it('leaves the old catalogue in force if the new one is bad, and says where', async () => {
    world.write('catalogue.yaml', catalogue.replace('sensitivity: medium', 'sensitivty: medium'));
    await world.reload(/"level":50.*catalogue\.yaml:\d+:\d+.*stay in force/);
    const asked = succeeded(await world.as('ana', 'request db-host -i P1-1 --json'));
    expect((asked.json() as { request: RequestView }).request.state).toBe('granted');
  });

  it('leaves the old policy in force if the new one is bad', async () => {
    world.write('catalogue.yaml', catalogue);
    const good = world.read('policies/starter.cedar');
    world.write('policies/starter.cedar', 'permit (principal, action, resource) when { context.');
    await world.reload(/"level":50.*starter\.cedar:\d+:\d+.*stay in force/);
    succeeded(await world.as('ana', 'request db-host -i P1-1'));
    expect((await world.as('ben', 'request db-host')).code).toBe(3);
    world.write('policies/starter.cedar', good);
    await world.reload('catalogue and policy reloaded');
  });

  it('takes the grants of whoever left the catalogue, who is nobody from then on', async () => {
    const asked = succeeded(await world.as('ana', 'request db-host -i P1-1 --json'));
    const [grant] = (asked.json() as { request: RequestView }).request.grants;
    const isActive = async () => {
      const { grants } = await world.json<GrantList>('dora', 'grants --all');
      return grants.some(({ id, state }) => id === grant!.id && state === 'active');
    };
    expect(await isActive()).toBe(true);
    const without = catalogue.replace(/ {2}ana: .*\n/, '').replace('people: [ana]', 'people: [ben]');
    world.write('catalogue.yaml', without);
    try {
      await world.reload('catalogue and policy reloaded');
      expect((await world.as('ana', 'whoami')).code).toBe(4);
      expect(await isActive()).toBe(false);
    } finally {
      world.write('catalogue.yaml', catalogue);
      await world.reload('catalogue and policy reloaded');
    }
    // Who comes back has nothing of what was taken.
    const { grants } = await world.json<GrantList>('ana', 'status --refresh');
    expect(grants).toEqual([]);
  });
});

describe('the store', () => {
  it('is backed up while it serves, not restored while it serves, and a device that saw more refuses the old one', async () => {
    const backup = join(tempDir(), 'backup.db');
    succeeded(await world.operator(`broker backup ${backup}`));
    succeeded(await world.as('ana', 'request db-host -i P1-1'));
    succeeded(await world.as('ana', 'release --all'));

    const busy = await world.operator(`broker restore ${backup} --json`);
    expect({ code: busy.code, error: errorOf(busy) }).toEqual({ code: 9, error: 'busy' });
    succeeded(await world.as('ana', 'whoami'));

    await world.stop();
    const { kept } = succeeded(await world.operator(`broker restore ${backup} --json`)).json() as {
      kept: string;
    };
    expect(existsSync(kept)).toBe(true);
    await world.serve();
    const refused = await world.as('ana', 'request db-host -i P1-1 --json');
    expect({ code: refused.code, error: errorOf(refused) }).toEqual({ code: 5, error: 'log_behind' });
    // Who has not been there since goes on.
    succeeded(await world.as('ben', 'whoami'));

    await world.stop();
    for (const suffix of ['', '-wal', '-shm'])
      if (existsSync(`${kept}${suffix}`))
        copyFileSync(`${kept}${suffix}`, join(world.directory, `oncall.db${suffix}`));
    await world.serve();
    succeeded(await world.as('ana', 'whoami'));
  });

  it('is not put in place of by what is no store', async () => {
    await world.stop();
    const file = join(tempDir(), 'nonsense');
    copyFileSync(join(world.directory, 'catalogue.yaml'), file);
    expect((await world.operator(`broker restore ${file}`)).code).not.toBe(0);
    await world.serve();
    succeeded(await world.as('ana', 'whoami'));
  });
});

describe('serve', () => {
  it('says that the port is taken, and leaves the one that serves alone', async () => {
    const second = await world.operator('broker serve --json');
    expect({ code: second.code, error: errorOf(second) }).toEqual({ code: 9, error: 'busy' });
    expect(second.stderr).toContain(`127.0.0.1:${world.port}`);
    succeeded(await world.as('ana', 'whoami'));
  });

  it('starts with nothing that check refuses', async () => {
    const other = await createWorld(catalogue.replace('service: orders', 'service: ordres'));
    const served = await runCli(['broker', 'serve', other.directory, '--json']);
    expect({ code: served.code, error: errorOf(served) }).toEqual({ code: 1, error: 'catalogue_invalid' });
  });
});

describe('check', () => {
  let files: World;
  interface Finding {
    severity: string;
    file: string;
    line?: number;
    column?: number;
    message: string;
    hint?: string;
  }

  async function check(): Promise<{ code: number | null; stdout: string; errors: Finding[] }> {
    const { code, stdout } = await files.operator('broker check');
    const { findings } = (await files.operator('broker check --json')).json() as { findings: Finding[] };
    return { code, stdout, errors: findings.filter(({ severity }) => severity === 'error') };
  }
  /** Where in the file this stands, as an editor counts. */
  function placeOf(file: string, text: string): string {
    const before = files.read(file).split(text)[0] ?? '';
    const lines = before.split('\n');
    return `${file}:${lines.length}:${(lines.at(-1) ?? '').length + 1}`;
  }

  beforeAll(async () => {
    files = await createWorld(catalogue);
  });
  beforeEach(() => files.write('catalogue.yaml', catalogue));

  it('finds nothing in what init wrote and in our catalogue', async () => {
    expect(await check()).toMatchObject({ code: 0, errors: [] });
  });

  it('finds a typo in the catalogue, and what was meant', async () => {
    files.write('catalogue.yaml', catalogue.replace('sensitivity', 'sensitivty'));
    const { code, stdout, errors } = await check();
    expect(code).toBe(1);
    expect(stdout).toContain(placeOf('catalogue.yaml', 'sensitivty'));
    expect(errors.map(({ message, hint }) => `${message} ${hint}`).join()).toContain('sensitivity');
  });

  it('finds a policy that names a role nobody has', async () => {
    const rule = `@id("typo")\npermit (principal, action == Action::"grant", resource == Role::"db-host:opertor");\n`;
    files.write('policies/mine.cedar', `// mine\n${rule}`);
    const { code, stdout, errors } = await check();
    expect(code).toBe(1);
    expect(stdout).toMatch(/policies\/mine\.cedar:3:\d+/);
    expect(errors).toMatchObject([{ message: expect.stringContaining('opertor') }]);
  });

  it('finds a forbid that a fact nobody knows would switch off', async () => {
    const rule = `@id("risky")\nforbid (principal, action == Action::"grant", resource)\nwhen { context.risk.value.score > 70 };\n`;
    files.write('policies/mine.cedar', rule);
    const { code, stdout, errors } = await check();
    expect(code).toBe(1);
    expect(stdout).toMatch(/policies\/mine\.cedar:\d+:\d+/);
    expect(errors).toMatchObject([{ message: expect.stringContaining('risk') }]);
  });

  it('finds what Cedar cannot read, with its place', async () => {
    files.write('policies/mine.cedar', '// mine\npermit (principal, action, resource) when { context. };\n');
    const { code, stdout } = await check();
    expect(code).toBe(1);
    expect(stdout).toMatch(/policies\/mine\.cedar:2:\d+/);
  });
});

describe('what anybody may ask', () => {
  it('is whether it lives, and nothing about people', async () => {
    const get = async (path: string) => {
      const words = ['-sk', '-w', '\n%{http_code}', `https://127.0.0.1:${world.port}${path}`];
      const child = startProcess('curl', words, { input: '' });
      await child.ended;
      const lines = child.stdout().split('\n');
      return { status: lines.at(-1), body: lines.slice(0, -1).join('\n') };
    };
    for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json'])
      expect(await get(path)).toMatchObject({ status: '200' });
    for (const path of ['/v1/status', '/v1/grants', '/v1/audit/entries', '/v1/me']) {
      const { status, body } = await get(path);
      expect({ path, ok: status === '401' || status === '404' }).toEqual({ path, ok: true });
      expect(body).not.toMatch(/ana|P1-1/);
    }
    expect((await get('/metrics')).body).not.toContain('ana');
  });
});
