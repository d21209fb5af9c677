import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseHeader } from '../../audit/export.ts';
import { parseReceipt, type Receipt } from '../../audit/receipt.ts';
import { type VerifyReport, verifyExport } from '../../audit/verify.ts';
import { AppError } from '../../protocol/errors.ts';
import { defineCommand, FILES, FOLDERS, firstArgument, textOption } from '../command.ts';
import type { Context } from '../context.ts';
import { linesOf, unreadable } from '../export-file.ts';
import { type Line, type Piece, warn, writeResult } from '../io.ts';
import { propertyLines } from '../table.ts';

export interface AuditVerifyOptions {
  readonly file: string;
  readonly checkpointFile: string | undefined;
  readonly receiptsDir: string | undefined;
}

export const auditVerifyCommand = defineCommand<AuditVerifyOptions>({
  json: ['audit.verify'],
  examples: [
    ['oncall audit verify audit.ndjson', 'whether anything was edited, dropped or reordered'],
    [
      'oncall audit verify audit.ndjson --checkpoint kept.txt',
      'and whether its end was cut off or all of it rewritten',
    ],
  ],
  declare: (command) =>
    void command
      .argument('<file>', 'what oncall audit export wrote')
      .option('--checkpoint <file>', 'a checkpoint kept elsewhere: shows truncation and rewriting')
      .option('--receipts <dir>', 'a folder of receipts'),
  completes: { file: FILES, '--checkpoint': FILES, '--receipts': FOLDERS },
  read: (typed) => ({
    file: firstArgument(typed, 'file'),
    checkpointFile: textOption(typed, 'checkpoint'),
    receiptsDir: textOption(typed, 'receipts'),
  }),
  run: runAuditVerify,
});

/** Offline: reads files only. Ends with `audit_invalid` where the log does not hold. */
export async function runAuditVerify(context: Context, options: AuditVerifyOptions): Promise<void> {
  const report = await verifyExport(linesOf(options.file), {
    ...(await pinsFor(context, options.file)),
    ...(options.checkpointFile !== undefined && { checkpoint: await readText(options.checkpointFile) }),
    ...(options.receiptsDir !== undefined && { receipts: await readReceipts(options.receiptsDir) }),
  });
  const holds = report.problems.length === 0;
  if (report.logKey === 'from the file') {
    await warn(context.io, "nothing here vouches for the log's key: it was taken from the file itself");
  }
  await writeResult(context.io, context.format, {
    command: 'audit.verify',
    data: { holds, ...report },
    lines: () => reportLines(report),
  });
  if (holds) return;
  const count = report.problems.length;
  throw new AppError(
    'audit_invalid',
    `the log does not hold: ${count} ${count === 1 ? 'problem' : 'problems'}`,
    {
      hint: 'keep the file as it is, and tell your security team',
    },
  );
}

/** The keys this device pinned at enrolment, if the file says that it comes from that broker. */
async function pinsFor(
  context: Context,
  file: string,
): Promise<{ logPublicKey?: string; identityPublicKey?: string }> {
  const { loadConfig } = await import('../../client/config.ts');
  const config = await loadConfig((await context.clientContext()).paths);
  if (config === undefined) return {};
  const first = await linesOf(file).next();
  const { origin } = parseHeader(first.done === true ? undefined : first.value);
  if (origin !== config.origin) return {};
  return { logPublicKey: config.logKey, identityPublicKey: config.identityKey };
}

async function readReceipts(folder: string): Promise<Receipt[]> {
  const names = await readdir(folder).catch((error: unknown) => Promise.reject(unreadable(folder, error)));
  const texts = await Promise.all(names.sort().map((name) => readText(join(folder, name))));
  return texts.flatMap((text, index) =>
    text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => readReceipt(line, names[index] ?? '')),
  );
}

function readReceipt(line: string, name: string): Receipt {
  try {
    return parseReceipt(JSON.parse(line));
  } catch (cause) {
    throw new AppError('audit_invalid', `${name} is not a receipt`, {
      hint: 'keep receipts alone in that folder; oncall help files says where they lie',
      cause,
    });
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

function reportLines(report: VerifyReport): Line[] {
  const holds = report.problems.length === 0;
  const verdict: Piece = holds ? { text: 'holds', style: 'green' } : { text: 'does not hold', style: 'red' };
  return [
    ...propertyLines([
      ['log', report.origin],
      ['entries', String(report.entries)],
      ['root', report.rootHash ?? 'not computable'],
      ['log key', report.logKey],
      ['truncation', report.truncation],
      ['verdict', verdict],
    ]),
    ...report.problems.map(({ index, kind, detail }): Line => {
      const where = index === null ? 'log' : `entry ${index}`;
      return [`${where}: `, { text: kind, style: 'red' }, `: ${detail}`];
    }),
  ];
}
