/** How it stands out wherever it shows. */
export const BREAK_GLASS = 'BREAK-GLASS';

/** What somebody types who is not let in the usual way and cannot wait. */
export function breakGlassCommandFor(targets: readonly string[]): string {
  return `oncall break-glass ${targets.join(' ')} --reason "…"`;
}
