/** What is burning. */
import { type Static, Type } from '@sinclair/typebox';
import { Instant, Name, nullable, oneOf, strict, Text } from '../schema.ts';

export const Priority = oneOf('P1', 'P2', 'P3', 'P4', 'P5');

/** As people type it: an id, `#4711`, a pasted address. The broker finds out which incident is meant. */
export const IncidentRef = Text(512);

export const DeclareIncident = strict({
  id: Name,
  service: Name,
  priority: Priority,
  title: Type.Optional(Text(200)),
});
export type DeclareIncident = Static<typeof DeclareIncident>;

export const IncidentView = strict({
  id: Name,
  source: Name,
  state: oneOf('open', 'resolved'),
  priority: Type.String(),
  service: Name,
  title: Type.String(),
  declaredBy: Type.String(),
  assignees: Type.Array(Name),
  url: Type.String(),
  startedAt: Instant,
  /** When the source's own API last vouched for it; null where only a webhook spoke. */
  confirmedAt: nullable(Instant),
  resolvedAt: nullable(Instant),
});
export type IncidentView = Static<typeof IncidentView>;

export const IncidentList = strict({ incidents: Type.Array(IncidentView) });
export type IncidentList = Static<typeof IncidentList>;
