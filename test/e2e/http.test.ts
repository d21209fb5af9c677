// A tool behind nginx that asks the broker about each visitor, brought in by its guide, reached by the real curl through the
// spawned command line, and refused after the release, with the very token that worked before.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TargetGuide } from '../../src/issuers/issuer.ts';
import type { GrantView } from '../../src/protocol/messages.ts';
import { atEnd } from '../support/at-end.ts';
import { startNginx, type TestNginx } from '../support/nginx.ts';
import { part } from '../support/parts.ts';
import { startProcess } from '../support/process.ts';
import { freePort, tempDir } from '../support/temp.ts';
import { createWorld, PEOPLE, succeeded, type World } from './world.ts';

function catalogueAt(url: string): string {
  return `${PEOPLE}
resources:
  query-performance:
    type: http
    service: orders
    environment: production
    sensitivity: medium
    url: ${url}
    ca: tool-ca.pem
    roles:
      view: {}
      admin: {}
`;
}

/** The tool itself, which knows its visitors by what nginx tells it, and shows what it was told. */
async function startTool(): Promise<number> {
  const port = await freePort();
  const server = createServer(({ headers }, response) => {
    response.end(`${headers['x-oncall-user']} ${headers['x-oncall-role']} ${headers.authorization ?? '-'}`);
  }).listen(port, '127.0.0.1');
  atEnd(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  return port;
}

describe.skipIf(!part('nginx'))('a tool that wants tokens', () => {
  let world: World;
  let nginx: TestNginx;
  const ana = (args: string, more?: readonly string[]) => world.as('ana', args, {}, more);

  beforeAll(async () => {
    world = await createWorld(catalogueAt('https://localhost:1/'));
    const guided = succeeded(await world.operator('broker target query-performance --json'));
    const { steps } = guided.json() as TargetGuide;
    const root = tempDir({ mode: 0o755 });
    mkdirSync(join(root, '/etc/nginx'), { recursive: true });
    const moved = (text: string) => text.replaceAll('/etc/nginx', join(root, '/etc/nginx'));
    const textFor = (where: string) => moved(steps.find((step) => step.where.startsWith(where))?.text ?? '');
    const shell = startProcess('sh', ['-eu'], { input: textFor('a root shell') });
    expect((await shell.ended).code).toBe(0);
    nginx = await startNginx({
      server: `${textFor('the server block')}
location / {
${textFor('each location')}
  proxy_pass http://127.0.0.1:${await startTool()};
}`,
    });
    world.write('tool-ca.pem', nginx.caPem);
    world.write('catalogue.yaml', catalogueAt(nginx.url));
    await world.serve();
    await world.enroll('ana', 'dora');
    succeeded(await world.as('dora', 'incident declare P1-123 --service orders --priority P1'));
  }, 60_000);

  it('passes the check', async () => {
    succeeded(await world.operator('broker target query-performance --check'));
  }, 30_000);

  it('lets in curl under run, and is told who comes; no argument and no variable holds the token', async () => {
    const run = await ana('run query-performance -i P1-123', ['--', 'curl', '-sS', nginx.url]);
    expect(succeeded(run).stdout).toBe('ana view -');
    const script =
      'cat /proc/self/environ "$ONCALL_TOKEN_FILE" | tr "\\0" "\\n"; curl -sS --cacert "$ONCALL_CA" "$ONCALL_URL"';
    const shown = succeeded(await ana('run query-performance', ['--', 'sh', '-c', script])).stdout;
    const token = succeeded(await ana('credential query-performance --format token')).stdout;
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(shown.split(token)).toHaveLength(2);
    expect(shown).toContain(`ONCALL_URL=${nginx.url}\n`);
    // Without it nginx refuses.
    expect(shown).toContain('401 Authorization Required');
    const header = succeeded(await ana('credential query-performance')).stdout;
    expect(header).toBe(`Authorization: Bearer ${token}\n`);
  }, 30_000);

  /** The answer to the very token that is held now, whenever it is asked. */
  async function keepToken(): Promise<{ token: string; visit: () => Promise<string> }> {
    const header = succeeded(await ana('credential query-performance')).stdout;
    const file = join(tempDir(), 'header');
    writeFileSync(file, header);
    const options = [
      '-sS',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '--cacert',
      nginx.caFile,
      '-H',
      `@${file}`,
    ];
    return {
      token: header.trim().replace('Authorization: Bearer ', ''),
      async visit() {
        const curl = startProcess('curl', [...options, nginx.url], { input: '' });
        await curl.ended;
        return curl.stdout();
      },
    };
  }

  it('refuses the same token after the release, at once, and that is proven', async () => {
    const { token, visit } = await keepToken();
    expect(await visit()).toBe('200');
    const released = await world.json<{ grants: GrantView[] }>('ana', 'release --all');
    expect(await visit()).toBe('401');
    expect(released.grants.map(({ state, credentials }) => [state, credentials[0]?.proof])).toEqual([
      ['ended', expect.stringMatching(/^proven: a token with the same id/)],
    ]);
    expect(readdirSync(join(world.home('ana'), 'oncall/run/grants'))).toEqual([]);
    const [, , signature = ''] = token.split('.');
    expect(readFileSync(join(world.directory, 'oncall.db')).includes(signature)).toBe(false);
  }, 30_000);

  it('refuses everybody while the broker is down', async () => {
    succeeded(await ana('request query-performance -i P1-123'));
    const { visit } = await keepToken();
    expect(await visit()).toBe('200');
    await world.stop();
    expect(await visit()).toBe('500');
  }, 30_000);
});
