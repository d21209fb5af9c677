// A broker that polls fake vendors, with a clock that a test moves on.
import type { Me, StatusReply } from '../../src/protocol/messages.ts';
import { atEnd } from './at-end.ts';
import { writeSecret } from './delivering.ts';
import { enrolled, type TestDevice } from './device.ts';
import type { FakeVendor } from './fakes/fake-vendor.ts';
import { startPagerDuty } from './fakes/pagerduty.ts';
import { type Installation, install, PEOPLE } from './installation.ts';
import { waitFor } from './temp.ts';

export const HOUR = 3_600_000;
export const SECRETS = { pd: 'pd-token', hook: 'hook-secret', jsm: 'jsm-token', io: 'iio-token' };

const IDS = { pd: 'PBEN', jsm: 'JBEN', io: 'IBEN', cal: 'Ben Osei' };

/** ben is on call only where an outside system says so. */
export function catalogue(name: keyof typeof IDS, source: string, feeds: string): string {
  return `${PEOPLE.replace('Ben Osei, ', `Ben Osei, ids: { ${name}: ${IDS[name]} }, `)
    .replace('orders: { ', `orders: { ids: { ${name}: PSVC1 }, `)
    .replace('approvals:', `  outside: { from: ${feeds} }\napprovals:`)}
sources:
  ${name}: { ${source} }
`;
}

export interface World {
  installation: Installation;
  ben: TestDevice;
  /** Milliseconds that the store's clock is ahead. */
  clock: { aheadMs: number };
  reload(): Promise<void>;
  stop(): Promise<void>;
  isOnCall(): Promise<boolean>;
  warnings(): Promise<readonly string[]>;
  metric(name: RegExp): Promise<number | undefined>;
}

export async function serve(text: string, calendar = ''): Promise<World> {
  const installation = await install({ catalogue: text });
  for (const [name, secret] of Object.entries({ ...SECRETS, cal: calendar }))
    writeSecret(installation, name, secret);
  const clock = { aheadMs: 0 };
  const broker = await installation.start({ now: () => Date.now() + clock.aheadMs });
  const ben = await enrolled(installation, 'ben');
  const now = () => ({ createdSeconds: Math.floor((Date.now() + clock.aheadMs) / 1000) });
  return {
    installation,
    ben,
    clock,
    reload: () => broker.reload(),
    stop: () => broker.stop(),
    async isOnCall() {
      return (await ben.get<Me>('/v1/me', now())).result.shifts.some(
        ({ schedule }) => schedule === 'outside',
      );
    },
    warnings: async () => (await ben.get<StatusReply>('/v1/status', now())).result.warnings,
    async metric(name) {
      const text = await (await fetch(`${installation.url}/metrics`)).text();
      const found = text
        .split('\n')
        .find((line) => name.test(line))
        ?.split(' ')
        .at(-1);
      return found === undefined ? undefined : Number(found.replace('Inf', 'Infinity'));
    },
  };
}

export const closing = async <T extends FakeVendor>(starting: Promise<T>): Promise<T> => {
  const vendor = await starting;
  atEnd(() => vendor.close());
  return vendor;
};
export const shift = () => ({ startsAtMs: Date.now() - HOUR, endsAtMs: Date.now() + 100 * HOUR });
export const onCall = (world: World, is = true) =>
  waitFor(async () => (await world.isOnCall()) === is, { what: `on call: ${is}`, timeoutMs: 20_000 });
/** Moves the clock on until something has come of it, never past what is due. */
export const later = (world: World, ms: number, condition: () => Promise<boolean>) =>
  waitFor(
    async () => {
      if (await condition()) return true;
      const overdue = await world.metric(/^oncall_job_overdue_seconds\{kind="poll"\}/);
      if (overdue === undefined || overdue === 0) world.clock.aheadMs += ms;
      return false;
    },
    { what: 'a later time', timeoutMs: 25_000 },
  );

export const PAGERDUTY = (url: string, more = '') =>
  `type: pagerduty, url: "${url}", token: { file: secrets/pd }, poll: 10s${more}`;

export async function servePagerDuty(more?: string, feeds = '{ source: pd, id: PS1 }') {
  const vendor = await closing(startPagerDuty());
  vendor.setShifts('PS1', [{ user: 'PBEN', level: 1, ...shift() }]);
  const world = await serve(catalogue('pd', PAGERDUTY(vendor.url, more), feeds));
  const age = () => world.metric(/^oncall_source_age_seconds\{source="pd",subject="shifts:PS1"\}/);
  return { vendor, world, age };
}
