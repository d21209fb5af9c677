/**
 * Names of people, resources, roles, services, schedules and incidents. The pattern is what completion scripts rely on
 * when they read names from files, and why no name can break out of a shell word, a config file or SQL.
 */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@/+-]{0,127}$/;

/** Resource and role names become parts of principals, role names and file names: narrower, no slash, no `..`. */
const PART = /^[a-z0-9][a-z0-9-]{0,39}$/;

export function isName(text: string): boolean {
  return NAME.test(text) && !text.includes('..');
}

export function isPartName(text: string): boolean {
  return PART.test(text);
}

/** A resource and one of its roles, typed `db-replica:write`. */
export interface TargetRef {
  resource: string;
  role: string;
}

/**
 * Splits `resource` or `resource:role`. Returns undefined where a part is not a name; `role` is undefined where none was
 * typed (the catalogue's default role is then meant).
 */
export function parseTarget(text: string): { resource: string; role: string | undefined } | undefined {
  const [resource = '', role, ...rest] = text.split(':');
  if (rest.length > 0 || !isPartName(resource)) return undefined;
  if (role !== undefined && !isPartName(role)) return undefined;
  return { resource, role };
}

export function formatTarget(target: TargetRef): string {
  return `${target.resource}:${target.role}`;
}

/** Escapes control and bidirectional characters, so that text from outside cannot steer a terminal. */
export function escapeForTerminal(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
