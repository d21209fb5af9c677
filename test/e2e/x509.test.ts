// A service behind nginx that wants client certificates, brought in by its guide, reached by the real curl through the spawned
// command line, and refused after the release, with the very certificate that worked before.
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TargetGuide } from '../../src/issuers/issuer.ts';
import type { GrantView } from '../../src/protocol/messages.ts';
import { followGuide, type PulledHost } from '../issuers/x509-world.ts';
import { atEnd } from '../support/at-end.ts';
import { startNginx, type TestNginx } from '../support/nginx.ts';
import { part } from '../support/parts.ts';
import { startProcess } from '../support/process.ts';
import { tempDir, waitFor } from '../support/temp.ts';
import { createWorld, PEOPLE, succeeded, type World } from './world.ts';

function catalogueAt(url: string, ca: string): string {
  return `${PEOPLE}
resources:
  trace-store:
    type: x509
    service: orders
    environment: production
    sensitivity: medium
    url: ${url}
    ca: ${ca}
    roles:
      read: {}
`;
}

describe.skipIf(!part('nginx'))('a service that wants client certificates', () => {
  let world: World;
  let host: PulledHost;
  let nginx: TestNginx;
  const ana = (args: string, more?: readonly string[]) => world.as('ana', args, {}, more);

  beforeAll(async () => {
    world = await createWorld(catalogueAt('https://localhost:1/', 'tool-ca.pem'));
    await world.serve();
    const reload = join(tempDir(), 'reload');
    writeFileSync(reload, '#!/bin/sh\n', { mode: 0o755 });
    const guided = succeeded(await world.operator('broker target trace-store --json')).json() as TargetGuide;
    const prepared = await followGuide(guided, 'trace-store', reload);
    host = prepared;
    nginx = await startNginx({
      http: prepared.http,
      server: `${prepared.server}\nlocation / { default_type text/plain; return 200 "$oncall_trace_store $ssl_client_s_dn"; }`,
    });
    writeFileSync(reload, `#!/bin/sh\nexec ${nginx.reloadCommand}\n`, { mode: 0o755 });
    const timer = startProcess(
      'sh',
      ['-c', `while :; do ${join(host.root, '/usr/local/sbin/oncall-crl')}; sleep 0.3; done`],
      { input: '' },
    );
    atEnd(() => timer.stop());
    world.write('tool-ca.pem', nginx.caPem);
    world.write('catalogue.yaml', catalogueAt(nginx.url, 'tool-ca.pem'));
    await world.reload('catalogue and policy reloaded');
    await world.enroll('ana', 'dora');
    succeeded(await world.as('dora', 'incident declare P1-123 --service orders --priority P1'));
  }, 60_000);

  it('passes the check', async () => {
    succeeded(await world.operator('broker target trace-store --check'));
  }, 30_000);

  it('lets in curl under run, by the login’s own name, and says so of itself', async () => {
    const run = await ana('run trace-store -i P1-123', ['--', 'curl', '-sS', nginx.url]);
    expect(succeeded(run).stdout).toMatch(/^read OU=trace-store\/read,CN=[0-9A-F]{32}$/);
    const env = succeeded(await ana('run trace-store', ['--', 'env'])).stdout;
    expect(env).toContain(`ONCALL_URL=${nginx.url}`);
    expect(env).toMatch(/^ONCALL_CERT=.*\/cert\.pem$/m);
    const pem = succeeded(await ana('credential trace-store --format pem')).stdout;
    expect(pem).toMatch(/BEGIN CERTIFICATE[\s\S]*BEGIN PRIVATE KEY/);
    const { grants } = (await ana('status --json')).json() as { grants: GrantView[] };
    expect(grants).toMatchObject([{ kind: 'x509', state: 'active' }]);
  });

  it('refuses the same certificate after the release, and that is proven', async () => {
    const copy = join(tempDir(), 'kept');
    const grants = join(world.home('ana'), 'oncall', 'run', 'grants');
    cpSync(grants, copy, { recursive: true });
    const [grant] = ((await ana('status --json')).json() as { grants: GrantView[] }).grants;
    const file = (name: string) => join(copy, grant!.id, name);
    const options = ['--cert', file('cert.pem'), '--key', file('key.pem'), '--cacert', nginx.caFile];
    const visit = async () => {
      const curl = startProcess(
        'curl',
        ['-sS', '-o', '/dev/null', '-w', '%{http_code}', ...options, nginx.url],
        {
          input: '',
        },
      );
      await curl.ended;
      return curl.stdout();
    };
    expect(await visit()).toBe('200');
    await world.json('ana', 'release --all');
    await waitFor(async () => (await visit()) === '400', { what: 'the refusal' });
    const proofs = async () => {
      const { grants: known } = await world.json<{ grants: GrantView[] }>('ana', 'grants');
      return known.flatMap(({ credentials }) => credentials.map(({ proof }) => proof));
    };
    const areProven = async () => {
      const found = await proofs();
      return (
        found.length > 0 && found.every((proof) => proof?.startsWith('proven: a certificate with the same'))
      );
    };
    await waitFor(areProven, { what: 'the proof', timeoutMs: 25_000 });
  }, 40_000);
});
