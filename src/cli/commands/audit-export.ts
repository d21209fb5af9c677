import { parseCheckpoint } from '../../audit/checkpoint.ts';
import { type ExportHeader, type ExportRow, writeExport } from '../../audit/export.ts';
import type { BrokerClient } from '../../client/broker.ts';
import { getCheckpoint, listAuditEntries } from '../../client/calls.ts';
import { AppError } from '../../protocol/errors.ts';
import { defineCommand, FILES, textOption } from '../command.ts';
import type { Context } from '../context.ts';
import { writeHint, writeResult } from '../io.ts';

export interface AuditExportOptions {
  /** Undefined: stdout. */
  readonly file: string | undefined;
}

export const auditExportCommand = defineCommand<AuditExportOptions>({
  json: ['audit.export'],
  examples: [
    ['oncall audit export -f audit.ndjson', 'the whole log, to be verified offline'],
    ['oncall audit export', 'the same to stdout'],
  ],
  declare: (command) => void command.option('-f, --file <file>', 'where to write it (stdout)'),
  completes: { '--file': FILES },
  read: (typed) => ({ file: textOption(typed, 'file') }),
  run: runAuditExport,
});

/** The log up to one checkpoint; entries that are added meanwhile are left out. */
export async function runAuditExport(context: Context, { file }: AuditExportOptions): Promise<void> {
  if (file === undefined && context.format !== 'table') {
    throw new AppError('usage', 'the export has its own format on stdout', { hint: 'add -f FILE' });
  }
  const config = await context.config();
  const broker = await context.broker();
  const { checkpoint } = await getCheckpoint(broker, 0);
  const { size } = parseCheckpoint(checkpoint);
  const header: ExportHeader = {
    origin: config.origin,
    logPublicKey: config.logKey,
    identityPublicKey: config.identityKey,
  };
  const lines = writeExport(header, rowsUpTo(broker, size), () => checkpoint);
  if (file === undefined) {
    for await (const line of lines) context.io.stdout.write(line);
    return;
  }
  await writeLinesTo(file, lines);
  await writeResult(context.io, context.format, {
    command: 'audit.export',
    data: { file, entries: size },
    lines: () => [`wrote ${size} entries to ${file}`],
  });
  if (context.format === 'table') await writeHint(context.io, `oncall audit verify ${file}`);
}

async function* rowsUpTo(broker: BrokerClient, size: number): AsyncGenerator<ExportRow> {
  for (let from = 0; from < size; ) {
    const { entries } = await listAuditEntries(broker, from);
    if (entries.length === 0)
      throw new AppError('audit_invalid', `the broker's log ends at entry ${from}`, {
        hint: 'oncall audit list shows what the broker says it has; tell whoever runs it',
      });
    for (const entry of entries.slice(0, size - from)) yield entry;
    from += entries.length;
  }
}

/** A file of its own: one that is there already may be the evidence of another day. */
async function writeLinesTo(file: string, lines: AsyncIterable<string>): Promise<void> {
  const { open, rm } = await import('node:fs/promises');
  const handle = await open(file, 'wx', 0o600).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EEXIST') {
      throw new AppError('conflict', `${file} is there already`, { hint: 'name another file', cause });
    }
    throw new AppError('unsafe_file', `${file} cannot be written`, {
      hint: 'name a file in a folder of yours: oncall audit export -f ./audit.ndjson',
      cause,
    });
  });
  try {
    for await (const line of lines) await handle.write(line);
    await handle.sync();
  } catch (error) {
    // Half an export would be taken for a whole one that was tampered with.
    await rm(file, { force: true });
    const full = error instanceof Error && 'code' in error && error.code === 'ENOSPC';
    throw full
      ? new AppError('disk_full', `no space left to write ${file}`, {
          hint: 'df -h shows which disk is full',
          cause: error,
        })
      : error;
  } finally {
    await handle.close();
  }
}
