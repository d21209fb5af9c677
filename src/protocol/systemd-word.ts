import { AppError } from './errors.ts';

/** One word of a unit file (systemd.syntax(7)): quoted, with what systemd would replace doubled. Throws AppError `config_invalid` for what would end a line. */
export function systemdWord(word: string): string {
  if (/[\u0000-\u001f\u007f]/.test(word))
    throw new AppError('config_invalid', 'a path holds characters that no service file can');
  return `"${word.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`;
}
