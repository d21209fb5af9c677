// The product's broker with faults: `node dist/test/broker.js DIR`. Reads one line of JSON from the environment's
// ONCALL_TEST_FAULT: { point, nth? } to die by SIGKILL at that point, or { point, pause: true } to stop there (SIGSTOP).
import { startBroker } from '../../src/broker/broker.ts';
import { decorateIssuer, decorateStore } from './crash-points.ts';

const directory = process.argv[2] ?? '.';
const fault = JSON.parse(process.env.ONCALL_TEST_FAULT ?? '{}') as {
  point?: string;
  nth?: number;
  pause?: boolean;
};
let passed = 0;

function at(point: string): void {
  if (point !== fault.point) return;
  passed += 1;
  if (passed !== (fault.nth ?? 1)) return;
  process.stdout.write(`fault ${point}\n`);
  process.kill(process.pid, fault.pause ? 'SIGSTOP' : 'SIGKILL');
}

async function main(): Promise<void> {
  const broker = await startBroker({
    directory,
    version: '0.0.0-test',
    env: process.env,
    now: Date.now,
    log: (line) => process.stderr.write(line),
    decorate: { store: (store) => decorateStore(store, at), issuer: (issuer) => decorateIssuer(issuer, at) },
  });
  process.stdout.write(`listening ${broker.address}\n`);
  process.on('SIGHUP', () => void broker.reload());
  process.on('SIGTERM', () => void broker.stop().then(() => process.exit(0)));
}

void main();
