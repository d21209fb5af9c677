/** The one place that knows every kind of source: what is read from it, and with which credentials. */
import type { SecretRef, Source } from '../catalogue/types.ts';
import { createCalendarShifts } from './calendar-feed.ts';
import { createSourceHttp, type HttpTiming } from './http.ts';
import type { IncidentReader } from './incident.ts';
import { createIncidentIoIncidents, createIncidentIoShifts, incidentIoHeaders } from './incidentio.ts';
import { createJsmShifts, jsmHeaders } from './jsm.ts';
import { createPagerDutyIncidents, createPagerDutyShifts, pagerDutyHeaders } from './pagerduty.ts';
import type { ShiftFeedReader } from './shift.ts';
import { createVendorApi } from './vendor-api.ts';

/** What can be read from a source. Undefined where its kind, or our credentials for it, have none. */
export interface Readers {
  readonly shifts: ShiftFeedReader | undefined;
  readonly incidents: IncidentReader | undefined;
  close(): Promise<void>;
}

/** Secrets are read for each request: a renewed one is used without a restart. */
export function createReaders(
  { id: name, settings }: Source,
  resolveSecret: (ref: SecretRef) => Promise<string>,
  timing?: HttpTiming,
): Readers {
  const http = createSourceHttp(name, timing);
  const readers = (parts: Partial<Pick<Readers, 'shifts' | 'incidents'>>): Readers => ({
    shifts: undefined,
    incidents: undefined,
    ...parts,
    close: () => http.close(),
  });
  const api = (
    url: string,
    token: SecretRef,
    headers: (name: string, token: string) => Record<string, string>,
  ) =>
    createVendorApi({
      name,
      http,
      baseUrl: url,
      headers: async () => headers(name, await resolveSecret(token)),
    });
  switch (settings.kind) {
    case 'ical':
      return readers({
        shifts: createCalendarShifts({ name, http, address: () => resolveSecret(settings.feed) }),
      });
    case 'pagerduty': {
      if (settings.token === undefined) return readers({});
      const pagerDuty = api(settings.url, settings.token, pagerDutyHeaders);
      return readers({
        shifts: createPagerDutyShifts(pagerDuty),
        incidents: createPagerDutyIncidents(pagerDuty),
      });
    }
    case 'jsm': {
      const { url, user, token } = settings;
      return readers({
        shifts: createJsmShifts(api(url, token, (source, secret) => jsmHeaders(source, user, secret))),
      });
    }
    case 'incidentio': {
      if (settings.token === undefined) return readers({});
      const incidentIo = api(settings.url, settings.token, incidentIoHeaders);
      return readers({
        shifts: createIncidentIoShifts(incidentIo),
        incidents: createIncidentIoIncidents(incidentIo),
      });
    }
    // These only deliver.
    case 'rootly':
    case 'alertmanager':
      return readers({});
  }
}
