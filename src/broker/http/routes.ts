/** The signed HTTP interface: which message leads where. Shapes are in protocol/messages.ts, the work in its own modules. */

import type { Modules } from '../modules.ts';
import { createEndpoints, type EndpointDeps } from './endpoint.ts';
import type { RouteContext } from './route-context.ts';
import { registerAuditRoutes } from './routes-audit.ts';
import { registerBreakGlassRoutes } from './routes-break-glass.ts';
import { registerJournalRoutes } from './routes-break-glass-journal.ts';
import { registerPackRoutes } from './routes-break-glass-packs.ts';
import { registerBreakGlassStateRoutes } from './routes-break-glass-states.ts';
import { registerEventRoutes } from './routes-events.ts';
import { registerGrantRoutes } from './routes-grants.ts';
import { registerHostRoutes } from './routes-hosts.ts';
import { registerPeopleRoutes } from './routes-people.ts';
import { registerRequestRoutes } from './routes-requests.ts';
import { registerReviewRoutes } from './routes-reviews.ts';
import { registerWebhookRoutes } from './routes-webhooks.ts';

export function registerRoutes(deps: EndpointDeps, modules: Modules): void {
  const context: RouteContext = { ...deps, ...modules, ...createEndpoints(deps, modules.journals) };
  registerPeopleRoutes(context);
  registerRequestRoutes(context);
  registerBreakGlassRoutes(context);
  registerGrantRoutes(context);
  registerAuditRoutes(context);
  registerEventRoutes(context);
  registerReviewRoutes(context);
  registerJournalRoutes(context);
  registerBreakGlassStateRoutes(context);
  registerPackRoutes(context);
  registerWebhookRoutes(context);
  registerHostRoutes(context);
}
