import type { Node } from 'yaml';
import { breakGlassName } from '../protocol/break-glass-names.ts';
import { formatDuration } from '../protocol/durations.ts';
import { type Known, readApprovers } from './approvers.ts';
import { type Fields, readFields } from './fields.ts';
import { quote, type Reader } from './read.ts';
import { readSecretRef } from './secret-ref.ts';
import type { BreakGlass, Catalogue, Resource } from './types.ts';
import { isServiceUrl, URL_FORM } from './url.ts';

const WINDOW_SECONDS = 3600;
const LONGEST_WINDOW_SECONDS = 8 * 3600;
const COVER_SECONDS = 12 * 3600;
const LONGEST_COVER_SECONDS = 24 * 3600;
/** PostgreSQL's names; X.509 has one character more (RFC 5280 appendix A, ub-common-name). */
const LONGEST_NAME = 63;

/** `breakGlass: { notify: [carla, group:leads], webhook: { url, secret }, cover: 12h }`. */
export function readBreakGlass(
  reader: Reader,
  node: Node | undefined,
  known: Known,
): Catalogue['breakGlass'] {
  const fields = node && readFields(reader, node, 'breakGlass', ['notify', 'webhook', 'cover']);
  const cover = fields?.duration('cover');
  if (cover !== undefined && cover.value > LONGEST_COVER_SECONDS)
    reader.error(cover.node, 'breakGlass.cover is longer than 24h', 'write 24h or less');
  return {
    notify: (fields?.has('notify') && readApprovers(fields, 'notify', known)) || [],
    webhook: fields?.optional('webhook', (at, path) => readWebhook(reader, at, path))?.value,
    coverSeconds: cover?.value ?? COVER_SECONDS,
  };
}

function readWebhook(reader: Reader, node: Node, path: string): Catalogue['breakGlass']['webhook'] {
  const fields = readFields(reader, node, path, ['url', 'secret']);
  const url = fields?.requiredMatching('url', isServiceUrl, URL_FORM);
  const secret = fields?.required('secret', (at, secretPath) => readSecretRef(reader, at, secretPath));
  return url && secret && { url: url.value, secret: secret.value };
}

/** Of one resource, with `roles` as the target has them; undefined where it has none, or after a finding. */
export function readResourceBreakGlass(
  resource: Fields,
  roles: readonly string[] = [],
): BreakGlass | undefined {
  const { reader } = resource;
  const keys = ['roles', 'window', 'max', 'twoPerson', 'offline'];
  const fields = resource.optional('breakGlass', (node, path) => readFields(reader, node, path, keys))?.value;
  if (fields === undefined) return undefined;
  const chosen = fields.texts('roles').filter((place) => reader.existing(place, 'role', new Set(roles)));
  const max = fields.duration('max');
  if (max !== undefined && max.value > LONGEST_WINDOW_SECONDS)
    reader.error(max.node, `${fields.path}.max is longer than ${formatDuration(LONGEST_WINDOW_SECONDS)}`);
  const window = fields.duration('window');
  const maxWindowSeconds = max?.value ?? Math.max(WINDOW_SECONDS, window?.value ?? 0);
  const windowSeconds = window?.value ?? Math.min(WINDOW_SECONDS, maxWindowSeconds);
  if (window !== undefined && windowSeconds > Math.min(maxWindowSeconds, LONGEST_WINDOW_SECONDS))
    reader.error(window.node, `${fields.path}.window is longer than its max`, 'raise max, or lower window');
  const isYes = (key: string) => fields.optional(key, (node, path) => reader.boolean(node, path))?.value;
  return {
    // Narrowest first, as the resource lists them; the narrowest alone unless it says more.
    roles:
      chosen.length === 0
        ? roles.slice(0, 1)
        : roles.filter((role) => chosen.some(({ value }) => value === role)),
    windowSeconds,
    maxWindowSeconds,
    twoPerson: isYes('twoPerson') ?? false,
    offline: isYes('offline') ?? true,
  };
}

/** `a-b` with `c` and `a` with `b-c` would be one name at the target: whoever may break one glass would break the other. */
export function refuseSharedNames(
  reader: Reader,
  node: Node | undefined,
  resources: ReadonlyMap<string, Resource>,
): void {
  const taken = new Map<string, string>();
  for (const { id, breakGlass } of resources.values()) {
    for (const role of breakGlass?.roles ?? []) {
      const name = breakGlassName({ resource: id, role });
      const other = taken.get(name);
      if (other !== undefined && node !== undefined)
        reader.error(
          node,
          `${quote(id)} and ${quote(other)} have the same break-glass name, ${name}`,
          'rename a role, or one of the resources',
        );
      if (name.length > LONGEST_NAME && node !== undefined)
        reader.error(
          node,
          `the break-glass name ${name} is longer than ${LONGEST_NAME} characters`,
          'use a shorter name',
        );
      taken.set(name, id);
    }
  }
}
