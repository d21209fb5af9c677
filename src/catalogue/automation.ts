import type { Node } from 'yaml';
import { isName } from '../protocol/names.ts';
import { type Fields, readFields } from './fields.ts';
import { NAME_FORM, readNamed } from './people.ts';
import { levelsOf, MAX_LEVEL } from './positions.ts';
import type { Names, Reader } from './read.ts';
import { readPriority } from './sources.ts';
import type { AutomationRule, Schedule, Service } from './types.ts';

interface Known {
  schedules: ReadonlyMap<string, Schedule>;
  services: ReadonlyMap<string, Service>;
  bundles: Names;
}

export function readAutomation(
  reader: Reader,
  node: Node | undefined,
  known: Known,
): Map<string, AutomationRule> {
  const rules = new Map<string, AutomationRule>();
  for (const { key, value } of readNamed(reader, node, 'automation', isName, NAME_FORM)) {
    const fields = readFields(reader, value, `automation.${key.value}`, ['on', 'maxLevel', 'bundle']);
    if (fields === undefined) continue;
    const on = fields.required('on', (at, path) => readEvent(reader, at, path, known))?.value;
    const maxLevel = fields.integer('maxLevel', 1, MAX_LEVEL)?.value ?? 1;
    const bundle = fields.requiredReference('bundle', 'bundle', known.bundles);
    if (on === undefined || bundle === undefined) continue;
    const rule = { id: key.value, on, maxLevel, bundle: bundle.value };
    warnOfDeadRule(fields, rule, known);
    rules.set(key.value, rule);
  }
  return rules;
}

function readEvent(reader: Reader, node: Node, path: string, known: Known): AutomationRule['on'] | undefined {
  const fields = readFields(reader, node, path, ['shift', 'alert']);
  if (fields === undefined) return undefined;
  if (fields.has('shift') === fields.has('alert')) {
    return reader.error(
      node,
      `${path} must be either a shift or an alert`,
      'write on: { shift: SCHEDULE } or on: { alert: { service: SERVICE } }',
    );
  }
  const schedule = fields.reference('shift', 'schedule', known.schedules);
  if (schedule) return { kind: 'shift', schedule: schedule.value };
  return fields.optional('alert', (at, alertPath) => {
    const alert = readFields(reader, at, alertPath, ['service', 'priority', 'labels']);
    const service = alert?.requiredReference('service', 'service', known.services);
    if (!alert || !service) return undefined;
    const event = { priorities: readPriorities(alert), labels: readLabels(alert) };
    return { kind: 'alert' as const, service: service.value, ...event };
  })?.value;
}

function readPriorities(alert: Fields): string[] {
  const { reader } = alert;
  const priorities = alert.optional('priority', (node, path) =>
    reader.oneOrMore(node).flatMap((item) => readPriority(reader, item, path) ?? []),
  );
  // An empty list would match all, which is what leaving it out says.
  if (priorities?.value.length === 0) reader.error(priorities.node, `${alert.path}.priority is empty`);
  return [...new Set(priorities?.value ?? [])];
}

function readLabels(alert: Fields): Record<string, string> {
  const { reader } = alert;
  const labels: Record<string, string> = Object.create(null);
  alert.optional('labels', (node, path) => {
    for (const { key, value } of reader.entries(node, path) ?? []) {
      const text = reader.text(value, `${path}.${key.value}`);
      if (text !== undefined) labels[key.value] = text;
    }
    return labels;
  });
  return labels;
}

function warnOfDeadRule(
  { reader, node, path }: Fields,
  { on, maxLevel }: AutomationRule,
  known: Known,
): void {
  const schedules = on.kind === 'shift' ? [on.schedule] : (known.services.get(on.service)?.schedules ?? []);
  if (on.kind === 'alert' && schedules.length === 0) {
    reader.warn(
      node,
      `${path} can never apply: nobody is on call for ${on.service}`,
      `give services.${on.service} a schedule`,
    );
    return;
  }
  const read = schedules.flatMap((id) => known.schedules.get(id) ?? []);
  // A schedule that could not be read has its own finding.
  if (read.length < schedules.length) return;
  if (!read.some((schedule) => levelsOf(schedule).some((level) => level <= maxLevel))) {
    reader.warn(node, `${path} can never apply: nobody is at level ${maxLevel} or better`, 'raise maxLevel');
  }
}
