/** Names in a policy that nothing in the catalogue answers to: a rule that silently never applies. */
import { nearest } from '../catalogue/nearest.ts';
import { formatPosition, levelsOf } from '../catalogue/positions.ts';
import type { Catalogue, Finding } from '../catalogue/types.ts';
import { formatTarget } from '../protocol/names.ts';
import { TARGET_KINDS } from '../protocol/target-kinds.ts';
import type { PolicyJson } from './cedar.ts';
import { INSTALLATION } from './schema.ts';

export interface DanglingName {
  severity: Finding['severity'];
  message: string;
  hint: string | undefined;
  /** Text to look for in the policy, to say where. */
  mark: string;
}

interface Names {
  what: string;
  severity: Finding['severity'];
  names: ReadonlySet<string>;
}

/** What rules compare with text, and the texts that can ever be there. */
function comparable(catalogue: Catalogue): Record<string, Names> {
  const resources = [...catalogue.resources.values()];
  const error = (what: string, names: Iterable<string>): Names => ({
    what,
    severity: 'error',
    names: new Set(names),
  });
  const services = error('service', catalogue.services.keys());
  return {
    'resource.name': error('role or resource', [
      ...resources.flatMap(({ roles }) => roles),
      ...catalogue.resources.keys(),
    ]),
    'resource.resourceName': error('resource', catalogue.resources.keys()),
    'resource.service': services,
    // A rule for an environment that is still empty is worth keeping.
    'resource.environment': {
      what: 'environment',
      severity: 'warning',
      names: new Set(resources.map(({ environment }) => environment)),
    },
    'resource.sensitivity': error('sensitivity', ['low', 'medium', 'high']),
    'resource.kind': error('resource type', TARGET_KINDS),
    'principal.groups': error('group', catalogue.groups),
    'context.shift.value.schedules': error('schedule', catalogue.schedules.keys()),
    'context.shift.value.positions': error('position', positionsOf(catalogue)),
    'context.incident.value.service': services,
    'context.incident.value.source': error('source', ['manual', ...catalogue.sources.keys()]),
    'context.incident.value.declaredBy': error('person', catalogue.people.keys()),
    'context.device.value.keystore': error('keystore', ['keychain', 'ssh-agent', 'file']),
    'context.presence.value.method': error('presence', ['none', 'keychain-prompt', 'touch', 'fresh-login']),
  };
}

function entities(catalogue: Catalogue): Record<string, Names> {
  const error = (what: string, names: Iterable<string>): Names => ({
    what,
    severity: 'error',
    names: new Set(names),
  });
  const targets = [...catalogue.resources.values()].flatMap(({ id, roles }) =>
    roles.map((role) => formatTarget({ resource: id, role })),
  );
  return {
    User: error('person', catalogue.people.keys()),
    Group: error('group', catalogue.groups),
    Resource: error('resource', catalogue.resources.keys()),
    Role: error('role', targets),
    Installation: error('installation', [INSTALLATION]),
  };
}

function positionsOf({ schedules }: Catalogue): string[] {
  return [...schedules.values()].flatMap((schedule) =>
    levelsOf(schedule).map((level) => formatPosition(schedule.id, level)),
  );
}

export function findDanglingNames(policy: PolicyJson, catalogue: Catalogue): DanglingName[] {
  const found: DanglingName[] = [];
  const byType = entities(catalogue);
  const byPath = comparable(catalogue);
  const check = (known: Names | undefined, name: string, mark: string) => {
    if (known === undefined || known.names.has(name)) return;
    const guess = nearest(name, known.names);
    const hint = guess === undefined ? undefined : `did you mean ${guess}?`;
    const message = `names the ${known.what} "${name}", which the catalogue does not have`;
    found.push({ severity: known.severity, message, hint, mark });
  };
  walk(policy, (node) => {
    if (typeof node.type === 'string' && typeof node.id === 'string') {
      check(
        Object.hasOwn(byType, node.type) ? byType[node.type] : undefined,
        node.id,
        `${node.type}::"${node.id}"`,
      );
    }
    for (const operator of ['==', '!=', 'contains', 'containsAll', 'containsAny']) {
      const { left, right } = (node[operator] ?? {}) as { left?: unknown; right?: unknown };
      for (const [side, other] of [
        [left, right],
        [right, left],
      ]) {
        const path = pathOf(side);
        if (path === undefined || !Object.hasOwn(byPath, path)) continue;
        for (const text of textsOf(other)) check(byPath[path], text, `"${text}"`);
      }
    }
  });
  return found;
}

function walk(value: unknown, visit: (node: Record<string, unknown>) => void): void {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) visit(value as Record<string, unknown>);
  for (const child of Object.values(value)) walk(child, visit);
}

/** `resource.service`, `context.shift.value.level`; undefined for anything but a path from a variable. */
function pathOf(expr: unknown): string | undefined {
  const { Var: variable, '.': member } = (expr ?? {}) as {
    Var?: string;
    '.'?: { left: unknown; attr: string };
  };
  if (variable !== undefined) return variable;
  const left = member && pathOf(member.left);
  return left === undefined ? undefined : `${left}.${member?.attr}`;
}

function textsOf(expr: unknown): string[] {
  const { Value: value, Set: items } = (expr ?? {}) as { Value?: unknown; Set?: unknown[] };
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.filter((item) => typeof item === 'string');
  return (items ?? []).flatMap(textsOf);
}
