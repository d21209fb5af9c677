import { type ProbeResult, probeBroker } from '../../client/probe.ts';
import { AppError } from '../../protocol/errors.ts';
import { defineCommand, durationOption, flagOption, readTarget, type TypedTarget } from '../command.ts';
import type { Context } from '../context.ts';
import { type Style, writeResult } from '../io.ts';
import { prometheusText } from '../prometheus-text.ts';
import { tableLines } from '../table.ts';

export interface ProbeCommandOptions {
  readonly target: TypedTarget | undefined;
  readonly timeoutSeconds: number;
  readonly prometheus: boolean;
}

const TIMEOUT_SECONDS = 10;
const STYLES = { ok: 'green', warn: 'yellow', fail: 'red' } as const satisfies Record<string, Style>;

export const probeCommand = defineCommand<ProbeCommandOptions>({
  json: ['probe'],
  examples: [
    ['oncall probe', 'whether the broker is of use to an engineer, as a monitor asks'],
    ['oncall probe db-replica --timeout 5s --prometheus', 'for a textfile collector'],
  ],
  declare: (command) =>
    void command
      .argument('[target]', 'what to ask a decision about, and record nothing')
      .option('--timeout <duration>', 'for each check, 10s unless told')
      .option('--prometheus', 'as Prometheus text'),
  read: (typed) => {
    const [target] = typed.args;
    return {
      target: target === undefined ? undefined : readTarget(target),
      timeoutSeconds: durationOption(typed, 'timeout') ?? TIMEOUT_SECONDS,
      prometheus: flagOption(typed, 'prometheus'),
    };
  },
  run: runProbe,
});

/** Ends with 1 where anything fails; a warning is none. */
export async function runProbe(context: Context, options: ProbeCommandOptions): Promise<void> {
  const { io, format } = context;
  if (options.prometheus && format !== 'table')
    throw new AppError('usage', '--prometheus is a format of its own', { hint: 'leave out --json or -o' });
  const { target, timeoutSeconds, prometheus } = options;
  const results = await probeBroker(await context.client(), { target, timeoutMs: timeoutSeconds * 1000 });
  const ok = results.every(({ state }) => state !== 'fail');
  if (prometheus) io.stdout.write(prometheusText(metricsOf(results)));
  else
    await writeResult(io, format, {
      command: 'probe',
      data: { ok, checks: results },
      lines: () =>
        tableLines(results, [
          { header: '', cell: ({ state }) => ({ text: state, style: STYLES[state] }) },
          { header: 'CHECK', cell: ({ check }) => check },
          { header: 'BROKER', cell: ({ endpoint }) => endpoint ?? 'any' },
          { header: 'TOOK', cell: ({ tookMs }) => `${tookMs} ms` },
          { header: 'DETAIL', cell: ({ detail }) => detail },
        ]),
    });
  if (!ok) context.exitWith(1);
}

const VALUES: Readonly<Record<string, { readonly name: string; readonly help: string }>> = {
  time: { name: 'oncall_probe_clock_skew_seconds', help: "Broker's clock minus the probe's" },
  certificate: { name: 'oncall_probe_certificate_left_seconds', help: 'Until the TLS certificate ends' },
  audit: {
    name: 'oncall_probe_audit_entries',
    help: 'Entries of the audit log as its checkpoint was verified',
  },
};

function metricsOf(results: readonly ProbeResult[]) {
  const labelsOf = ({ check, endpoint }: ProbeResult) => ({ check, endpoint: endpoint ?? '' });
  const all = [
    {
      name: 'oncall_probe_success',
      help: '1 where the check did not fail',
      samples: results.map((one) => ({ labels: labelsOf(one), value: one.state === 'fail' ? 0 : 1 })),
    },
    {
      name: 'oncall_probe_seconds',
      help: 'How long the check took',
      samples: results.map((one) => ({ labels: labelsOf(one), value: one.tookMs / 1000 })),
    },
  ];
  const drawn = Object.entries(VALUES).map(([check, { name, help }]) => ({
    name,
    help,
    samples: results.flatMap(({ check: of, endpoint, value }) =>
      of === check && value !== null ? [{ labels: { endpoint: endpoint ?? '' }, value }] : [],
    ),
  }));
  return [...all, ...drawn].filter(({ samples }) => samples.length > 0);
}
