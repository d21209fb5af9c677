import { initial } from './0001-initial.ts';
import { logAtOneEnd } from './0002-log-at-one-end.ts';
import { automation } from './0003-automation.ts';
import { fewerPages } from './0004-fewer-pages.ts';
import { alarms } from './0005-alarms.ts';
import { breakGlass } from './0006-break-glass.ts';
import type { Migration } from './migration.ts';

/** All of them, oldest first. */
export const MIGRATIONS: readonly Migration[] = [
  initial,
  logAtOneEnd,
  automation,
  fewerPages,
  alarms,
  breakGlass,
];
