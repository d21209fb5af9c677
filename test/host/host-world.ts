// A broker in this process, and a target of its own with a real sshd and journald, where the built `oncall host run` looks after it.
import { spawnSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'libsql';
import { signingKey } from '../../src/broker/keys.ts';
import type { CredentialReply, RequestView } from '../../src/protocol/messages.ts';
import { formatSshPublicKey, sshPublicKeyBlob } from '../../src/protocol/ssh-wire.ts';
import { operator } from '../broker/operator.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install, PEOPLE } from '../support/installation.ts';
import { startJournald, type TestJournal } from '../support/journald.ts';
import { cleanEnvironment, ONCALL, startProcess, type TestProcess } from '../support/process.ts';
import { SSH_LOGIN, startSshd, type TestSshd } from '../support/sshd.ts';
import { tempDir, waitFor } from '../support/temp.ts';

export interface LoginColumns {
  id: string;
  kind: string;
  account: string;
  identity: string;
  serial: string;
  address: string;
  matched: string | null;
}

export interface Access {
  grant: string;
  serial: string;
  /** Logs in and runs this; stays until it ends or the session is cut. */
  ssh(command: string): TestProcess;
}

export interface HostWorld {
  installation: Installation;
  journal: TestJournal;
  sshd: TestSshd;
  ana: TestDevice;
  dora: TestDevice;
  /** The folder of the host's own state. */
  state: string;
  configFile: string;
  folder: string;
  access(resource?: string): Promise<Access>;
  /** Runs it in the host's place. */
  host(...args: string[]): TestProcess;
  logins(): LoginColumns[];
  stopBroker(): Promise<void>;
}

export function ask<Row>({ directory }: { directory: string }, sql: string): Row[] {
  const db = new Database(join(directory, 'oncall.db'));
  try {
    return db.prepare(sql).all() as Row[];
  } finally {
    db.close();
  }
}

export async function startHostWorld(): Promise<HostWorld> {
  const journal = await startJournald();
  const installation = await install({ catalogue: PEOPLE });
  const keys = join(installation.directory, 'keys');
  const ca = signingKey(createPrivateKey(readFileSync(join(keys, 'ssh-ca.key')))).privateKey;
  const folder = tempDir({ mode: 0o755 });
  const empty = spawnSync('ssh-keygen', ['-q', '-k', '-f', join(folder, 'krl')]);
  if (empty.status !== 0) throw new Error(String(empty.stderr));
  const sshd = await startSshd({
    inside: journal.inside,
    trustedUserCaKeys: formatSshPublicKey(sshPublicKeyBlob(ca)),
    authorizedPrincipals: { [SSH_LOGIN]: ['oncall:db-host:shell', 'oncall:other-host:shell'] },
    revokedKeysFile: join(folder, 'krl'),
  });
  installation.write('catalogue.yaml', catalogueOf(sshd));
  const broker = await installation.start();
  const ana = await enrolled(installation, 'ana');
  const dora = await enrolled(installation, 'dora');
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });

  const state = tempDir();
  const configFile = join(tempDir(), 'host.json');
  const { publicKey } = signingKey(createPrivateKey(readFileSync(join(keys, 'identity.key'))));
  const config = {
    ...{ version: 1, broker: installation.url, identityKey: publicKey, ca: 'system', state },
    ssh: { folder, log: 'journal' },
  };
  writeFileSync(configFile, JSON.stringify(config), { mode: 0o644 });
  const host = (...args: string[]) => {
    const [command = '', ...words] = [...journal.inside, process.execPath, ONCALL, 'host', ...args];
    return startProcess(command, [...words, '--config', configFile], { env: cleanEnvironment(), input: '' });
  };
  const made = host('init', '--resource', 'db-host', '--json');
  await made.ended;
  const { key } = JSON.parse(made.stdout()) as { key: string };
  for (const resource of ['db-host', 'other-host'])
    await operator(installation).hostAdd(resource, 'db-host-1', key);

  return {
    stopBroker: broker.stop,
    ...{ installation, journal, sshd, ana, dora, state, configFile, folder, host },
    logins: () => ask<LoginColumns>(installation, 'select * from logins order by at, id'),
    async access(resource = 'db-host') {
      const dir = tempDir();
      const file = join(dir, 'key');
      spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
      const body = { targets: [{ resource }], incident: 'P1-1' };
      const { result } = await ana.post<RequestView>('/v1/requests', body);
      const grant = result.grants[0]!.id;
      const publicKey = readFileSync(`${file}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
      const path = `/v1/grants/${grant}/credentials`;
      const issued = await ana.post<CredentialReply>(path, { material: { kind: 'ssh', publicKey } });
      const part = issued.result.publicPart;
      if (part.kind !== 'ssh') throw new Error('not ssh');
      writeFileSync(join(dir, 'key-cert.pub'), `${part.certificate}\n`);
      return { grant, serial: issued.result.handle, ssh: (command) => sshTo(sshd, file, SSH_LOGIN, command) };
    },
  };
}

export function sshTo(sshd: TestSshd, keyFile: string, user: string, command: string): TestProcess {
  const options = [
    ...['BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'IdentitiesOnly=yes'],
    ...['LogLevel=ERROR', `User=${user}`],
  ];
  return startProcess(
    'ssh',
    [
      ...['-F', 'none', '-p', String(sshd.port), '-i', keyFile],
      ...options.flatMap((option) => ['-o', option]),
      ...[sshd.host, command],
    ],
    { input: '' },
  );
}

/** The number that a command wrote first: its own process. */
export async function pidOf(session: TestProcess): Promise<number> {
  await waitFor(() => /^\d+\n/.test(session.stdout()), { what: `a session: ${session.output()}` });
  return Number(session.stdout().split('\n')[0]);
}

function catalogueOf({ port, hostPublicKey, host }: TestSshd): string {
  const hostKey = hostPublicKey.split(' ').slice(0, 2).join(' ');
  const resource = (id: string) => `
  ${id}:
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    defaultRole: shell
    session: { default: 1h, max: 3h, maxExtensions: 2 }
    credential: 5m
    hosts:
      - { name: db-host-1, host: ${host}, port: ${port}, hostKeys: ["${hostKey}"] }
    roles:
      shell: { login: ${SSH_LOGIN} }`;
  return `${PEOPLE}\nresources:${resource('db-host')}${resource('other-host')}\n`;
}
