// A pack at a real nginx that was brought in by the guide, the steps of break-glass included.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { brokerTarget } from '../../src/broker/commands.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install, PEOPLE } from '../support/installation.ts';
import { startNginx, type TestNginx } from '../support/nginx.ts';
import { part } from '../support/parts.ts';
import { startProcess } from '../support/process.ts';
import { tempDir } from '../support/temp.ts';
import {
  BREAK_GLASS_POLICY,
  fetchPack,
  guideOf,
  host,
  type PackHolder,
  slotAt,
} from './break-glass-world.ts';

const FOLDERS = ['/etc/oncall-x509', '/usr/local/sbin', '/etc/systemd/system', '/etc/nginx/conf.d'];
const catalogue = (url: string, ca: string) => `${PEOPLE}
resources:
  tool:
    type: x509
    service: orders
    environment: production
    sensitivity: medium
    url: ${url}
    ca: ${ca}
    breakGlass: { roles: [read] }
    roles: { read: {}, write: {} }
`;

describe.skipIf(!part('nginx'))('a break-glass pack at a service', () => {
  let installation: Installation;
  let nginx: TestNginx;
  let ana: TestDevice;
  let shell: (text: string) => Promise<void>;
  const pull = () => shell('/usr/local/sbin/oncall-crl\n/usr/local/sbin/oncall-crl-break-glass');

  beforeAll(async () => {
    installation = await install({
      catalogue: catalogue('https://localhost:1/', 'none.pem'),
      policy: BREAK_GLASS_POLICY,
    });
    const broker = await installation.start();
    const root = tempDir({ mode: 0o755 });
    for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true });
    const reload = join(root, 'reload');
    writeFileSync(reload, '#!/bin/sh\n', { mode: 0o755 });
    const moved = (text: string) =>
      FOLDERS.reduce((all, folder) => all.replaceAll(folder, join(root, folder)), text).replaceAll(
        'systemctl try-reload-or-restart nginx',
        reload,
      );
    shell = async (text) => {
      const lines = moved(text)
        .split('\n')
        .filter((line) => !line.startsWith('systemctl '));
      const child = startProcess('sh', ['-eu'], { input: lines.join('\n') });
      expect({ ...(await child.ended), stderr: child.stderr() }).toMatchObject({ code: 0, stderr: '' });
    };
    const steps = await guideOf(installation, 'tool');
    for (const { where, text } of steps) if (where.startsWith('a root shell')) await shell(text);
    nginx = await startNginx({
      http: readFileSync(join(root, '/etc/nginx/conf.d/oncall-tool.conf'), 'utf8'),
      server: `${moved(steps.findLast(({ where }) => where.startsWith('the server block'))!.text)}
        location / { default_type text/plain; return 200 "$oncall_tool $ssl_client_s_dn"; }`,
    });
    writeFileSync(reload, `#!/bin/sh\nexec ${nginx.reloadCommand}\n`, { mode: 0o755 });
    installation.write('catalogue.yaml', catalogue(nginx.url, nginx.caFile));
    await broker.reload();
    ana = await enrolled(installation, 'ana');
  }, 60_000);

  async function visit({ pack, key, certificate }: PackHolder): Promise<string> {
    const cert = await certificate(slotAt(pack, Date.now()));
    const ca = pack.place.kind === 'x509' ? pack.place.caPem : undefined;
    return new Promise((resolve, reject) => {
      const options = { ca, cert, key: key.export({ type: 'pkcs8', format: 'pem' }), agent: false };
      get(nginx.url, options as object, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.once('end', () => resolve(`${response.statusCode} ${body}`));
      }).once('error', reject);
    });
  }

  it('gets in as its role, by a name that says who and by which slot, until its device is revoked', async () => {
    const held = await fetchPack(ana, 'tool');
    const slot = slotAt(held.pack, Date.now());
    expect(await visit(held)).toBe(`200 read OU=bg/ana/${held.pack.id}/${slot},CN=breakglass-tool-read`);
    await ana.post(`/v1/devices/${ana.id}/revoke`, {});
    await pull();
    expect(await visit(held)).toMatch(/^400 /);
  });

  it('is what the check proves', async () => {
    const { directory } = installation;
    const checking = brokerTarget({ directory, resource: 'tool', check: true }, host);
    const isDone = checking.then(() => true);
    const pulling = () =>
      pull().then(
        () => false,
        () => false,
      );
    while (!(await Promise.race([isDone, pulling()])));
    const { requirements } = (await checking).data as { requirements: { ok: boolean; name: string }[] };
    expect(requirements.filter(({ ok }) => !ok)).toEqual([]);
    expect(requirements.filter(({ name }) => name.includes('break-glass')).length).toBeGreaterThan(4);
  }, 30_000);
});
