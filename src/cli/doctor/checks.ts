/** The one place that lists what `oncall doctor` looks at, in the order in which it is shown: what the rest stands on first. */
import { AGENT } from './agent.ts';
import { DRILL, PACKS } from './break-glass.ts';
import { BROKER, CLOCK, ENDPOINTS, TLS, VERSIONS } from './broker.ts';
import type { Check } from './check.ts';
import { COMPLETION } from './completion.ts';
import { CONFIGURATION, HOME } from './configuration.ts';
import { DEVICE, SHIFT } from './device.ts';
import { FILES } from './files.ts';
import { INSTALLATION } from './installation.ts';
import { KEYSTORE } from './keystore.ts';
import { NAMES, STATUS } from './local-copies.ts';
import { TOOLS } from './tools.ts';

export const CHECKS: readonly Check[] = [
  INSTALLATION,
  HOME,
  CONFIGURATION,
  FILES,
  KEYSTORE,
  AGENT,
  BROKER,
  ENDPOINTS,
  TLS,
  CLOCK,
  VERSIONS,
  DEVICE,
  SHIFT,
  PACKS,
  DRILL,
  STATUS,
  NAMES,
  COMPLETION,
  TOOLS,
];
