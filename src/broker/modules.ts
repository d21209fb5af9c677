import type { Approvals } from './approvals.ts';
import type { BreakGlassOnline } from './break-glass.ts';
import type { Changes } from './changes.ts';
import type { Credentials } from './credentials.ts';
import type { Devices } from './devices.ts';
import type { Endings } from './endings.ts';
import type { EventHub } from './event-hub.ts';
import type { HostReports } from './host-reports.ts';
import type { Deliveries } from './incidents/deliveries.ts';
import type { Incidents } from './incidents/incidents.ts';
import type { Journals } from './journals.ts';
import type { Metrics } from './metrics.ts';
import type { Outbox } from './outbox.ts';
import type { Packs } from './packs/packs.ts';
import type { PackWatch } from './packs/watch.ts';
import type { Requests } from './requests.ts';
import type { Reviews } from './reviews.ts';

/** What the routes lead to. */
export interface Modules {
  requests: Requests;
  breakGlass: BreakGlassOnline;
  approvals: Approvals;
  credentials: Credentials;
  endings: Endings;
  devices: Devices;
  incidents: Incidents;
  deliveries: Deliveries;
  hostReports: HostReports;
  reviews: Reviews;
  journals: Journals;
  packs: Packs;
  packWatch: PackWatch;
  outbox: Outbox;
  events: EventHub;
  changes: Changes;
  metrics: Metrics;
}
