import { AppError } from '../../protocol/errors.ts';

/** One line of text, as a value in a configuration file. Throws AppError `corrupt_file`. */
export function plain(value: string): string {
  if (/[\u0000-\u001f\u007f]/.test(value)) throw unsafeValue();
  return value;
}

/** A host name or an address, as a word of its own. Throws AppError `corrupt_file`. */
export function plainHost(host: string): string {
  if (!/^[A-Za-z0-9:][A-Za-z0-9._:-]{0,254}$/.test(host)) throw unsafeValue();
  return host;
}

export function unsafeValue(): AppError {
  return new AppError('corrupt_file', 'the broker sent a value that no configuration file can hold', {
    hint: 'tell who keeps the catalogue',
  });
}
