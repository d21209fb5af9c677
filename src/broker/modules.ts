import type { Approvals } from './approvals.ts';
import type { Changes } from './changes.ts';
import type { Credentials } from './credentials.ts';
import type { Devices } from './devices.ts';
import type { Endings } from './endings.ts';
import type { Metrics } from './metrics.ts';
import type { Requests } from './requests.ts';

/** What the routes lead to. */
export interface Modules {
  requests: Requests;
  approvals: Approvals;
  credentials: Credentials;
  endings: Endings;
  devices: Devices;
  changes: Changes;
  metrics: Metrics;
}
