// People with devices at a real broker in this process, for tests of the spawned command line. The ssh targets need no host
// up to the login.
import { expect } from 'vitest';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install, PEOPLE } from '../support/installation.ts';
import { type CliOptions, type CliResult, runCli } from '../support/process.ts';
import { freePort, tempDir } from '../support/temp.ts';

export type Json = Record<string, unknown>;

export interface Team {
  broker: Installation;
  /** The broker goes away, for good. */
  stop(): Promise<void>;
  /** The catalogue, for another broker of the same people. */
  catalogue: string;
  /** A second device of this person, without a command line: to look at what became of things. */
  device(user: string): Promise<TestDevice>;
  /** By user: where `oncall` keeps what it keeps. */
  home: Readonly<Record<string, string>>;
  as(user: string, args: string, options?: CliOptions): Promise<CliResult>;
  /** The same with --json; what it printed. */
  json<T = Json>(user: string, args: string, options?: CliOptions): Promise<T>;
  /** A request that needs an approval, because ana declared the incident herself; its id. */
  askForApproval(): Promise<string>;
}

const HOST_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4';

/** ana, ben, carla and dora have a device each; P1-1 is ben's incident, OWN-1 is ana's. */
export async function startTeam({ more = '', hostMore = '' } = {}): Promise<Team> {
  const catalogue = `${PEOPLE}
resources:
  db-host:
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    session: { default: 1h, max: 4h, maxExtensions: 1 }
    hosts:
      - { name: db-host-1, host: 127.0.0.1, port: ${await freePort()}, hostKeys: ["${HOST_KEY}"] }
    roles:
      operator: { login: ops }
${hostMore}
  short-lived:
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    credential: 10s
    hosts:
      - { name: short-1, host: 127.0.0.1, port: ${await freePort()}, hostKeys: ["${HOST_KEY}"] }
    roles:
      operator: { login: ops }
${more}
`;
  const broker = await install({ catalogue });
  const { stop } = await broker.start();
  const home: Record<string, string> = {};
  const as: Team['as'] = (user, args, options = {}) =>
    runCli(args.split(' '), { home: home[user], ...options });
  for (const user of ['ana', 'ben', 'carla', 'dora']) {
    home[user] = tempDir();
    const paste = ['enroll', await broker.invite(user), '--keystore', 'file'];
    const { code, stderr } = await runCli(paste, { home: home[user] });
    expect({ code, stderr }).toMatchObject({ code: 0 });
  }
  expect(await as('ben', 'incident declare P1-1 --service orders --priority P1')).toMatchObject({ code: 0 });
  expect(await as('ana', 'incident declare OWN-1 --service orders --priority P1')).toMatchObject({ code: 0 });
  return {
    broker,
    stop,
    catalogue,
    device: (user) => enrolled(broker, user),
    home,
    as,
    async json<T>(user: string, args: string, options?: CliOptions) {
      return (await as(user, `${args} --json`, options)).json() as T;
    },
    async askForApproval() {
      const { code, stdout } = await as('ana', 'request db-host -i OWN-1 -r test --no-wait --json');
      expect(code).toBe(8);
      return JSON.parse(stdout).request.id;
    },
  };
}
