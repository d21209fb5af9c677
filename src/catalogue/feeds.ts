import { type Fields, readFields } from './fields.ts';
import { MAX_LEVEL } from './positions.ts';
import type { Names } from './read.ts';
import { givesShifts } from './sources.ts';
import type { ScheduleFeed, Source } from './types.ts';

/** `from` of a schedule: one feed, or a list of them. */
export function readFeeds(
  schedule: Fields,
  sources: ReadonlyMap<string, Source>,
  sourceNames: Names,
): ScheduleFeed[] {
  const { reader } = schedule;
  const from = schedule.required('from', (node) => reader.oneOrMore(node));
  if (from?.value.length === 0) reader.error(from.node, `${schedule.path}.from is empty`);
  const feeds: ScheduleFeed[] = [];
  for (const node of from?.value ?? []) {
    const fields = readFields(reader, node, `${schedule.path}.from`, ['source', 'id', 'level']);
    const source = fields?.requiredReference('source', 'source', sourceNames);
    const known = source && sources.get(source.value);
    if (!fields || !source || !known) continue;
    if (!givesShifts(known)) {
      const { kind } = known.settings;
      const isSilent = kind === 'rootly' || kind === 'alertmanager';
      reader.error(
        source.node,
        `${source.value} cannot say who is on call`,
        isSilent ? `${kind} only sends alerts: name another source` : `give ${source.value} a token`,
      );
    }
    const feed = readFeed(fields, known);
    if (feed === undefined) continue;
    if (feeds.some((other) => other.source === feed.source && other.id === feed.id)) {
      reader.error(node, `${schedule.path}.from names the same schedule twice`, 'keep one of them');
    }
    feeds.push(feed);
  }
  return feeds;
}

function readFeed(fields: Fields, { id: source, settings: { kind } }: Source): ScheduleFeed | undefined {
  const { reader } = fields;
  const level = fields.integer('level', 1, MAX_LEVEL)?.value;
  if (kind === 'ical') {
    const id = fields.text('id');
    if (id) reader.error(id.node, `${fields.path}.id: a calendar is one schedule`, 'take the id away');
    return { source, id: '', level: level ?? 1 };
  }
  const id = fields.requiredText('id');
  // PagerDuty says the level of an escalation policy by itself.
  return id && { source, id: id.value, level: level ?? (kind === 'pagerduty' ? undefined : 1) };
}
