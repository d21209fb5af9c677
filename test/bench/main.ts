// `npm run bench`: ratios within one run beside a calibration of the machine. `--json FILE` writes them down as data. It
// never fails for slowness: on a machine that does other things at the same time a figure says little by itself.
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { measureAgent } from './agent.ts';
import { measureAlerts } from './alerts.ts';
import { measureAuditGrowth } from './audit-growth.ts';
import { measureBreakGlass } from './break-glass.ts';
import { startBenchBroker } from './broker.ts';
import { measureBroker } from './broker-requests.ts';
import { calibrate, calibrationSection } from './calibration.ts';
import { endAll } from './cleanup.ts';
import { measureCompletion } from './completion.ts';
import { measureDecisions } from './decisions.ts';
import { measureFleet } from './fleet.ts';
import { measureIssuers } from './issuers.ts';
import { enrolEngineers } from './load.ts';
import { measureReconciling } from './reconcile.ts';
import { formatSection, isMet, type Section, toJson } from './report.ts';
import { measureRequests } from './requests.ts';
import { measureScale } from './scale.ts';
import { measureStartUp } from './start-up.ts';

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: 'string' } } });
  const started = performance.now();
  const machine = {
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
  };
  process.stdout.write(
    `oncall bench: node ${machine.node}, ${machine.platform}, ${machine.cores} × ${machine.cpu}\n\n`,
  );

  const sections: Section[] = [];
  const show = (section: Section) => {
    sections.push(section);
    process.stdout.write(`${formatSection(section)}\n`);
  };
  show(calibrationSection(await calibrate()));
  show(measureStartUp());
  show(measureCompletion());
  const broker = await startBenchBroker();
  const engineers = await enrolEngineers(broker);
  show(await measureRequests(broker));
  show(await measureAgent(broker));
  show(await measureBroker(engineers));
  show(await measureAlerts(broker));
  await endAll();
  show(await measureIssuers());
  await endAll();
  show(await measureBreakGlass());
  await endAll();
  show(await measureFleet());
  await endAll();
  show(measureDecisions());
  show(measureScale());
  show(await measureAuditGrowth());
  show(await measureReconciling());

  const marks = sections.flatMap(({ rows }) => rows.map(isMet)).filter((met) => met !== undefined);
  const seconds = Math.round((performance.now() - started) / 1000);
  process.stdout.write(`${marks.filter(Boolean).length} of ${marks.length} targets met, in ${seconds} s\n`);
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify(toJson(sections, machine), null, 2)}\n`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void endAll().finally(() => process.exit(130)));
}
main()
  .finally(endAll)
  .catch((error: Error) => {
    process.stderr.write(`${error.stack ?? error.message}\n`);
    process.exitCode = 1;
  });
