import { EXIT } from '../../protocol/errors.ts';
import { defineCommand, flagOption } from '../command.ts';
import type { Context } from '../context.ts';
import { CHECKS } from '../doctor/checks.ts';
import { examine, mend } from '../doctor/examine.ts';
import { writeHint, writeResult } from '../io.ts';
import { type Diagnosis, doctorResult, isWell } from '../views/doctor.ts';
import { withSpinner } from '../waiting.ts';

export interface DoctorOptions {
  readonly fix: boolean;
}

export const doctorCommand = defineCommand<DoctorOptions>({
  json: ['doctor'],
  examples: [
    ['oncall doctor', 'what is wrong on this machine, and what sets it right'],
    ['oncall doctor --fix', 'and mend what is safe to mend'],
  ],
  declare: (command) =>
    void command.option(
      '--fix',
      'mend what is safe to mend: modes, stale sockets, local copies, tool blocks',
    ),
  read: (typed) => ({ fix: flagOption(typed, 'fix') }),
  run: runDoctor,
});

/** Looks at everything that has to be right on this machine. Ends with 1 where something does not work. */
export async function runDoctor(context: Context, { fix }: DoctorOptions): Promise<void> {
  const { io, format } = context;
  const before = await examine(context, CHECKS);
  const { examined, mended } = fix
    ? await withSpinner(io, 'mending', mend(context, CHECKS, before))
    : { examined: before, mended: [] };
  const diagnosis: Diagnosis = { profile: await profileOf(context), examined, mended };
  await writeResult(io, format, doctorResult(diagnosis));
  const canMend = examined.some(({ findings }) => findings.some((one) => one.level !== 'ok' && one.mend));
  if (format === 'table' && !fix && canMend) await writeHint(io, 'oncall doctor --fix');
  if (!isWell(diagnosis)) context.exitWith(EXIT.failure);
}

/** As it was asked for: where no home folder is known, nothing has been made of it. */
async function profileOf(context: Context): Promise<string> {
  const named = context.env.ONCALL_PROFILE || 'default';
  return context.clientContext().then(
    ({ paths }) => paths.profile,
    () => named,
  );
}
