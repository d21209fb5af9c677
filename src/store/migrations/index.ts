import { initial } from './0001-initial.ts';
import { automation } from './0002-automation.ts';
import type { Migration } from './migration.ts';

/** All of them, oldest first. */
export const MIGRATIONS: readonly Migration[] = [initial, automation];
