import { listAuditEntries } from '../../client/calls.ts';
import { AppError } from '../../protocol/errors.ts';
import { defineCommand, textOption } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { tableLines } from '../table.ts';
import { bothTimes } from '../times.ts';

export interface AuditListOptions {
  readonly limit: number;
}

const LIMIT = 20;
const MAX_LIMIT = 200;

export const auditListCommand = defineCommand<AuditListOptions>({
  json: ['audit.list'],
  examples: [
    ['oncall audit list', 'the newest twenty entries'],
    ['oncall audit list -n 200 --json', 'the newest two hundred, for a script'],
  ],
  declare: (command) => void command.option('-n, --limit <count>', `how many entries (${LIMIT})`),
  read: (typed) => ({ limit: readLimit(textOption(typed, 'limit')) }),
  run: runAuditList,
});

/** An entry as far as the list shows it; attacker-controlled until `audit verify` has read an export. */
interface ShownEntry {
  readonly index: number;
  readonly at: string;
  readonly event: string;
  readonly actor: { readonly kind: string; readonly id: string };
  readonly subject?: Readonly<Record<string, string>>;
}

export async function runAuditList(context: Context, { limit }: AuditListOptions): Promise<void> {
  const broker = await context.broker();
  const { size } = await listAuditEntries(broker, 0, 1);
  const page =
    size === 0 ? { entries: [] } : await listAuditEntries(broker, Math.max(0, size - limit), limit);
  const entries = page.entries.map(({ entry }): ShownEntry => JSON.parse(entry));
  const now = context.now();
  await writeResult(context.io, context.format, {
    command: 'audit.list',
    data: { size, entries },
    lines: () =>
      tableLines(entries, [
        { header: 'ENTRY', cell: ({ index }) => String(index) },
        { header: 'AT', cell: ({ at }) => bothTimes(at, now) },
        { header: 'EVENT', cell: ({ event }) => ({ text: event, style: 'bold' }) },
        {
          header: 'ACTOR',
          cell: ({ actor }) => (actor.kind === 'user' ? actor.id : `${actor.kind} ${actor.id}`),
        },
        { header: 'ABOUT', cell: ({ subject = {} }) => Object.values(subject).join(' ') || '-' },
      ]),
  });
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return LIMIT;
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > MAX_LIMIT) {
    throw new AppError('usage', `--limit must be from 1 to ${MAX_LIMIT}`, {
      hint: 'oncall audit export writes the whole log',
    });
  }
  return limit;
}
