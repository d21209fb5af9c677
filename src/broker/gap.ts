import type { Catalogue, Finding } from '../catalogue/types.ts';

/** Something that is missing, with what to do about it. */
export interface Gap {
  /** A path that the catalogue may know the place of: `resources.db-replica.session`. */
  place: string;
  message: string;
  hint: string;
  isWarning?: boolean;
}

/** With the line of the place, or of what it lies in. */
export function toFinding(
  { places }: Catalogue,
  file: string,
  { place, message, hint, isWarning }: Gap,
): Finding {
  const parts = place.split('.');
  const paths = parts.map((_, at) => parts.slice(0, parts.length - at).join('.'));
  const at = paths.map((path) => places.get(path)).find((found) => found !== undefined);
  const severity = isWarning ? 'warning' : 'error';
  return { severity, file, line: at?.line, column: at?.column, message, hint };
}
