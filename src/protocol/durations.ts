const UNIT_SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;
const DURATION = /^(?:\d{1,9}[smhd])+$/;

/**
 * Seconds of `90s`, `15m`, `2h`, `1h30m`, `1d`. Undefined for anything else, for zero and for more than 366 days; a bare
 * number has no unit and is refused. Caps are policy and are applied elsewhere.
 */
export function parseDuration(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  let seconds = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)([smhd])/g)) {
    seconds += Number(count) * UNIT_SECONDS[unit as keyof typeof UNIT_SECONDS];
  }
  return seconds > 0 && seconds <= 366 * UNIT_SECONDS.d ? seconds : undefined;
}

/** `1h30m`, `45s`, `2d`: the two largest units that are not zero; `0s` for zero or less. */
export function formatDuration(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const count = Math.floor(rest / UNIT_SECONDS[unit]);
    rest -= count * UNIT_SECONDS[unit];
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts.slice(0, 2).join('') || '0s';
}
