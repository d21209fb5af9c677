// Signed request → decision → SSH certificate → durable audit, beside the sum of what cannot be left out.
import { irreducibleParts, type Part } from './irreducible.ts';
import type { Engineers } from './load.ts';
import type { Row, Section } from './report.ts';
import { median, quantile, timePerCall } from './statistics.ts';

const WARM_UP = 300;
/** One client's requests and the parts take turns, so that whatever else the machine does hits both alike. */
const TURNS = 8;
const TURN_REQUESTS = 50;
const CROWDS = [
  { clients: 8, requests: 600 },
  { clients: 64, requests: 1200 },
];
const TARGET = 3;
const QUICK = { batches: 3, batchMs: 20 };

export async function measureBroker(engineers: Engineers): Promise<Section> {
  const parts = await irreducibleParts(await engineers.sample());
  await engineers.load(8, WARM_UP);
  const emptyMs = await engineers.emptyExchange();
  const { partMs, ratios, single, perSecond } = await takeTurns(engineers, parts);
  const sum = sumOf(parts, partMs);
  const withExchanges = sum + 2 * emptyMs;
  const rows: Row[] = [
    ...parts.map((part, i) => partRow(part, partMs[i] ?? 0)),
    { name: 'sum of these parts', value: sum, unit: 'ms' },
    { name: 'empty exchange over TLS (not in the sum)', value: emptyMs, unit: 'ms', note: '2 needed' },
    {
      name: 'sum with two empty exchanges',
      value: withExchanges,
      unit: 'ms',
      note: `1 client's p50 is ${(median(single) / withExchanges).toFixed(2)} × this`,
    },
    ...loadRows('1 client', single, perSecond, sum).with(0, {
      name: '1 client: p50',
      value: median(single),
      unit: 'ms',
      ratio: { value: median(single) / sum, to: 'the sum', target: TARGET },
      note: `${Math.min(...ratios).toFixed(1)} to ${Math.max(...ratios).toFixed(1)} within single turns`,
    }),
  ];
  for (const { clients, requests } of CROWDS) {
    const { times, seconds } = await engineers.load(clients, requests);
    rows.push(...loadRows(`${clients} clients`, times, requests / seconds, sum));
  }
  return {
    title: 'broker: signed request → decision → SSH certificate → durable audit (SQLite, TLS)',
    rows,
    notes: [
      'a request is two signed exchanges, asking and fetching the certificate: times are of both, less the signing',
      'the broker is a process of its own, the clients share another one (undici); its timers and log are running',
      `1 client in ${TURNS} turns with the parts, the ratio is of the medians over all of them; the parts are this process's own`,
    ],
  };
}

async function takeTurns(engineers: Engineers, parts: readonly Part[]) {
  const turns: { ms: number[]; times: readonly number[]; seconds: number }[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    const ms = parts.map(({ once }) => timePerCall(once, QUICK));
    turns.push({ ms, ...(await engineers.load(1, TURN_REQUESTS)) });
  }
  const seconds = turns.reduce((sum, turn) => sum + turn.seconds, 0);
  return {
    partMs: parts.map((_, i) => median(turns.map(({ ms }) => ms[i] ?? 0))),
    ratios: turns.map(({ ms, times }) => median(times) / sumOf(parts, ms)),
    single: turns.flatMap(({ times }) => times),
    perSecond: (TURNS * TURN_REQUESTS) / seconds,
  };
}

function sumOf(parts: readonly Part[], partMs: readonly number[]): number {
  return parts.reduce((sum, { count }, i) => sum + count * (partMs[i] ?? 0), 0);
}

function partRow({ name, count }: Part, ms: number): Row {
  return { name, value: ms, unit: 'ms', note: `× ${count} = ${(ms * count).toFixed(2)} ms` };
}

function loadRows(who: string, times: readonly number[], perSecond: number, sum: number): Row[] {
  const [p50, p99] = [median(times), quantile(times, 0.99)];
  return [
    { name: `${who}: p50`, value: p50, unit: 'ms', ratio: { value: p50 / sum, to: 'the sum' } },
    { name: `${who}: p99`, value: p99, unit: 'ms', ratio: { value: p99 / sum, to: 'the sum' } },
    { name: `${who}: requests`, value: perSecond, unit: '/s' },
  ];
}
