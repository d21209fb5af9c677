import type { Node } from 'yaml';
import { formatDuration } from '../protocol/durations.ts';
import { isName, isPartName } from '../protocol/names.ts';
import { TARGET_KINDS } from '../protocol/target-kinds.ts';
import { readResourceBreakGlass, refuseSharedNames } from './break-glass.ts';
import { type Fields, readFields, readType } from './fields.ts';
import { NAME_FORM, PART_FORM, readNamed } from './people.ts';
import type { Reader } from './read.ts';
import { type TargetSettings, targetReader } from './targets/kinds.ts';
import type { TargetReader } from './targets/target-reader.ts';
import type { Resource } from './types.ts';

const COMMON_KEYS = [
  'description',
  'type',
  'service',
  'environment',
  'sensitivity',
  'defaultRole',
  'session',
  'credential',
  'roles',
  'phase',
  'breakGlass',
  'canary',
];
const SESSION = { defaultSeconds: 2 * 3600, maxSeconds: 4 * 3600, maxExtensions: 4 };
const LONGEST_SESSION_SECONDS = 24 * 3600;
const MOST_EXTENSIONS = 100;

export function readResources(
  reader: Reader,
  node: Node | undefined,
  services: ReadonlySet<string>,
): Map<string, Resource> {
  const resources = new Map<string, Resource>();
  for (const { key, value } of readNamed(reader, node, 'resources', isPartName, PART_FORM)) {
    const resource = readResource(reader, key.value, value, services);
    if (resource !== undefined) resources.set(key.value, resource);
  }
  refuseSharedNames(reader, node, resources);
  return resources;
}

function readResource(
  reader: Reader,
  id: string,
  node: Node,
  services: ReadonlySet<string>,
): Resource | undefined {
  const path = `resources.${id}`;
  const kind = readType(reader, node, path, 'resource type', TARGET_KINDS);
  if (kind === undefined) return undefined;
  const kindReader = targetReader(kind);
  const fields = readFields(reader, node, path, [...COMMON_KEYS, ...kindReader.keys]);
  if (fields === undefined) return undefined;
  const service = fields.requiredText('service');
  if (service !== undefined) reader.existing(service, 'service', services);
  const environment = fields.requiredMatching('environment', isName, NAME_FORM);
  fields.required('sensitivity', (sensitivity) => sensitivity);
  const sensitivity = fields.choice('sensitivity', ['low', 'medium', 'high']);
  const session = readSession(fields);
  const target = kindReader.read(fields);
  const defaultRole = readDefaultRole(fields, target);
  const credentialSeconds = readCredential(fields, kindReader, session.maxSeconds);
  if (!service || !environment || !sensitivity || !target || defaultRole === undefined) return undefined;
  return {
    id,
    description: fields.text('description')?.value,
    service: service.value,
    environment: environment.value,
    sensitivity: sensitivity.value,
    defaultRole,
    roles: [...target.roles.keys()],
    session,
    credentialSeconds,
    phase: readPhase(fields),
    breakGlass: readResourceBreakGlass(fields, target && [...target.roles.keys()]),
    canary: fields.optional('canary', (node, at) => reader.boolean(node, at))?.value ?? false,
    target,
  };
}

function readPhase(fields: Fields): Resource['phase'] {
  const phase = fields.integer('phase', 1, 3)?.value;
  return phase === 2 || phase === 3 ? phase : 1;
}

function readSession(fields: Fields): Resource['session'] {
  const { reader } = fields;
  const session = fields.optional('session', (node, path) =>
    readFields(reader, node, path, ['default', 'max', 'maxExtensions']),
  )?.value;
  if (session === undefined) return SESSION;
  const max = session.duration('max');
  const maxSeconds = max?.value ?? SESSION.maxSeconds;
  if (max !== undefined && maxSeconds > LONGEST_SESSION_SECONDS) {
    reader.error(max.node, `${session.path}.max is longer than 24h`);
  }
  const chosen = session.duration('default');
  const defaultSeconds = chosen?.value ?? Math.min(SESSION.defaultSeconds, maxSeconds);
  if (chosen !== undefined && defaultSeconds > maxSeconds) {
    reader.error(
      chosen.node,
      `${session.path}.default is longer than its max`,
      'raise max, or lower default',
    );
  }
  const extensions = session.integer('maxExtensions', 0, MOST_EXTENSIONS);
  return { defaultSeconds, maxSeconds, maxExtensions: extensions?.value ?? SESSION.maxExtensions };
}

function readCredential(
  fields: Fields,
  { credentialSeconds: { least, usual, most } }: Pick<TargetReader<never>, 'credentialSeconds'>,
  maxSessionSeconds: number,
): number {
  const { reader, path } = fields;
  const credential = fields.duration('credential');
  if (credential === undefined) return Math.min(usual, maxSessionSeconds);
  const { node, value } = credential;
  if (value > maxSessionSeconds) reader.error(node, `${path}.credential is longer than the longest session`);
  if (value > most) {
    const limit = formatDuration(most);
    reader.error(node, `${path}.credential is longer than ${limit}`, `write ${limit} or less`);
  }
  if (value < least) {
    const limit = formatDuration(least);
    reader.error(node, `${path}.credential is shorter than ${limit}`, `write ${limit} or more`);
  }
  return value;
}

function readDefaultRole(fields: Fields, target: TargetSettings | undefined): string | undefined {
  const roles = [...(target?.roles.keys() ?? [])];
  const chosen = fields.text('defaultRole');
  if (chosen === undefined) return roles[0];
  return target === undefined || fields.reader.existing(chosen, 'role', new Set(roles))
    ? chosen.value
    : undefined;
}
