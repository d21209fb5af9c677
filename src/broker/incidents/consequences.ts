/** What an incident's life means for access: one place, whoever says that it has changed. */
import type { Tx } from '../../store/store.ts';
import type { Lifetimes } from '../lifetimes.ts';
import type { Requests } from '../requests.ts';
import type { Automation } from './automation.ts';
import type { IncidentConsequences } from './incident-feed.ts';

export function createConsequences(deps: {
  automation: Automation;
  lifetimes: Lifetimes;
  requests: Requests;
}): IncidentConsequences {
  const { automation, lifetimes, requests } = deps;
  return {
    opened: (tx, incident) => automation.incidentOpened(tx, incident),
    async reopened(tx, incident) {
      await lifetimes.incidentReopened(tx, incident);
      await automation.incidentOpened(tx, incident);
    },
    async resolved(tx: Tx, incident) {
      await lifetimes.incidentResolved(tx, incident);
      await requests.incidentResolved(tx, incident.id);
    },
    async changed(tx, incident) {
      await lifetimes.incidentChanged(tx, incident);
      await automation.incidentOpened(tx, incident);
    },
  };
}
