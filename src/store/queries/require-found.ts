import { AppError } from '../../protocol/errors.ts';

/** A change by id that met no row is a mistake of the caller: it must not pass for done. */
export function requireFound(changedRows: bigint, what: string): void {
  if (changedRows === 0n) throw new AppError('not_found', `no such ${what} in the store`);
}
