/** What each source is asked for, as the catalogue has it now. */
import type { Catalogue, ScheduleFeed, Source } from '../catalogue/types.ts';

export interface DueFeed {
  feed: ScheduleFeed;
  timeZone: string;
}

export const INCIDENTS = 'incidents';

export function shiftSubject({ id }: ScheduleFeed): string {
  return `shifts:${id}`;
}

/** Each feed of a source once, whichever schedules read it. */
export function feedsOf({ schedules }: Catalogue, source: string): DueFeed[] {
  const feeds = [...schedules.values()].flatMap((schedule) =>
    schedule.feeds
      .filter((feed) => feed.source === source)
      .map((feed) => [feed.id, { feed, timeZone: schedule.timeZone }] as const),
  );
  return [...new Map(feeds).values()];
}

/** Whether the source's incidents can be asked for: it has an API, and we a token for it. */
export function hasIncidents({ settings }: Source): boolean {
  return (settings.kind === 'pagerduty' || settings.kind === 'incidentio') && settings.token !== undefined;
}

/** Says whether something that was asked for once still is. */
export function askedFor(catalogue: Catalogue): (poll: { source: string; subject: string }) => boolean {
  const keys = new Set<string>();
  for (const { feeds } of catalogue.schedules.values())
    for (const feed of feeds) keys.add(`${feed.source}\n${shiftSubject(feed)}`);
  for (const source of catalogue.sources.values())
    if (hasIncidents(source)) keys.add(`${source.id}\n${INCIDENTS}`);
  return ({ source, subject }) => keys.has(`${source}\n${subject}`);
}
