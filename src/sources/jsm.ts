/**
 * Jira Service Management Operations, the successor of Opsgenie (developer.atlassian.com/cloud/jira/service-desk-ops):
 * GET /v1/schedules/{id}/timeline. The source's `url` holds the site: https://api.atlassian.com/jsm/ops/api/CLOUD-ID.
 *
 * The timeline, not /on-calls, because that doesn't say when a shift ends. It starts at the beginning of the week of `date`
 * and cuts the shifts at its edges: asked wide enough, what it cuts is far from the span that matters here. All rotations
 * of a schedule are on call at once; a level is the feed's to say, else it is 1.
 */
import { formatInstant } from '../protocol/time.ts';
import type { OutsideShift, ShiftFeedReader } from './shift.ts';
import { sourceFailed } from './source-failure.ts';
import { headerText, pathSegment, type VendorApi } from './vendor-api.ts';
import * as vendor from './vendor-json.ts';

const WEEK_MS = 7 * 86_400_000;
/** On both sides of the span: nobody's shift lasts longer. */
const MARGIN_WEEKS = 5;

/** `user` is the e-mail address that the API token belongs to. */
export function jsmHeaders(name: string, user: string, token: string): Record<string, string> {
  const basic = Buffer.from(`${user}:${headerText(name, token)}`).toString('base64');
  return { accept: 'application/json', authorization: `Basic ${basic}` };
}

export function createJsmShifts(api: VendorApi): ShiftFeedReader {
  return {
    async fetchShifts(feed, { fromMs, toMs }, _validators, signal) {
      const weeks = Math.ceil((toMs - fromMs) / WEEK_MS) + 2 * MARGIN_WEEKS + 1;
      const query = {
        date: formatInstant(fromMs - MARGIN_WEEKS * WEEK_MS),
        interval: String(weeks),
        intervalUnit: 'weeks',
      };
      const path = `/v1/schedules/${pathSegment(api.name, feed.id)}/timeline`;
      const shifts = await api.get(path, query, signal, (json) => parseTimeline(json, feed.level ?? 1));
      if (shifts === undefined) throw sourceFailed(api.name, `has no schedule ${feed.id}`, { status: 404 });
      const inSpan = (shift: OutsideShift) =>
        shift.startsAtMs < toMs && (shift.endsAtMs === null || shift.endsAtMs > fromMs);
      return { unchanged: false, shifts: shifts.filter(inSpan), validators: {} };
    },
  };
}

function parseTimeline(json: unknown, level: number): OutsideShift[] {
  const timeline = vendor.readRecord(vendor.readRecord(json, 'the answer').finalTimeline, 'finalTimeline');
  return vendor.readList(timeline.rotations, 'rotations').flatMap((value) => {
    const rotation = vendor.readRecord(value, 'a rotation');
    if (rotation.deleted === true) return [];
    return (vendor.readOptional(rotation.periods, 'periods', vendor.readList) ?? []).flatMap((period) =>
      parsePeriod(period, level),
    );
  });
}

function parsePeriod(value: unknown, level: number): OutsideShift[] {
  const period = vendor.readRecord(value, 'a period');
  const startsAtMs = vendor.readInstant(period.startDate, 'startDate');
  const endsAtMs = vendor.readInstant(period.endDate, 'endDate');
  return parseResponders(period).map((outsideUser) => ({ outsideUser, level, startsAtMs, endsAtMs }));
}

/**
 * The people behind the responder. A team or an escalation that the API doesn't flatten stays under its own id: it is
 * mapped to nobody, and shows as that. `noone` is a slot without anybody.
 */
function parseResponders(period: vendor.VendorRecord): string[] {
  const flattened =
    vendor.readOptional(period.flattenedResponders, 'flattenedResponders', vendor.readList) ?? [];
  const responders = flattened.length > 0 ? flattened : [period.responder];
  return responders.flatMap((value) => {
    const responder = vendor.readRecord(value, 'a responder');
    const type = vendor.readText(responder.type, "a responder's type");
    return type === 'noone' || responder.deleted === true
      ? []
      : [vendor.readId(responder.id, "a responder's id")];
  });
}
