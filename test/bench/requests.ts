// `oncall request` to a broker on this machine, over TLS: from the start of the process to the credential on disk.
import { join } from 'node:path';
import { type BenchBroker, HOSTS, INCIDENT, ONCALL, TYPIST } from './broker.ts';
import { makeFolder } from './cleanup.ts';
import { startKeyring } from './keyring.ts';
import { type Environment, plainEnvironment, runNode, timeInterleaved } from './process-times.ts';
import type { Row, Section } from './report.ts';
import { besideNode } from './start-up.ts';

const ROUNDS = 15;
const TARGETS = { file: 4, keychain: 5.5 };

type Keystore = keyof typeof TARGETS;

export async function measureRequests(broker: BenchBroker): Promise<Section> {
  const rows = [await measureRequest(broker, 'file', plainEnvironment())];
  const notes = [
    `medians of ${ROUNDS} rounds; each asks for what is not held: the one before was released, untimed`,
    'decision, SSH key and certificate, sealed cache, session files, audit proof checked: all that a request does',
  ];
  const keyring = await startKeyring();
  if ('env' in keyring) rows.push(await measureRequest(broker, 'keychain', keyring.env));
  else notes.push(`left out: the keychain, for ${keyring.missing}`);
  return { title: 'oncall request, to a local broker over TLS', rows, notes };
}

async function measureRequest(broker: BenchBroker, keystore: Keystore, base: Environment): Promise<Row> {
  const env = { ...base, ONCALL_HOME: join(makeFolder(keystore), 'home') };
  runNode([ONCALL, 'enroll', await broker.invite(TYPIST), '--keystore', keystore], env);
  const name = `oncall request (keystore ${keystore})`;
  // From the far end of the list, which the load on the broker does not reach, and nobody has asked for yet.
  const host = (round: number) => HOSTS.at(-1 - round) ?? '';
  let held = '';
  const release = () => runNode([ONCALL, 'release', held], env);
  const request = (round: number) => {
    held = host(round);
    return [ONCALL, 'request', held, '-i', INCIDENT, '--json'];
  };
  const times = timeInterleaved(
    [
      { name: 'node -e 0', args: () => ['-e', '0'], env },
      { name, args: request, env, after: release },
    ],
    ROUNDS,
  );
  return besideNode(name, times, TARGETS[keystore]);
}
