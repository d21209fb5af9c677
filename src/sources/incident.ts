/** An outside system's word about one incident. Everything in it is attacker-controlled, bounded, and free of control characters. */
export interface OutsideIncident {
  /** The system's own id: the same incident has the same one in every delivery and poll. */
  externalId: string;
  /** What people type for it besides: its number (`4711`), its key (`INC-12`), its address. */
  aliases: readonly string[];
  /** When this was so, by the system's clock: an older word never undoes a newer one. */
  occurredAtMs: number;
  status: 'open' | 'resolved';
  /** As the system calls it; empty where it has none. */
  priority: string;
  /** The system's id or name of the service; empty where it has none. */
  outsideService: string;
  title: string;
  startedAtMs: number;
  /** The system's id of the person who declared it; empty for a machine. */
  outsideDeclarer: string;
  outsideAssignees: readonly string[];
  /** Empty where there is none. */
  url: string;
  labels: Readonly<Record<string, string>>;
}

/** What one verified webhook delivery says. */
export interface Delivery {
  /** Out of the signed bytes (never out of a header that is not signed): the same id twice is the same delivery. */
  id: string;
  /** Empty for a delivery about something else than incidents (a ping, an escalation policy). */
  incidents: readonly OutsideIncident[];
}

/** Reads incidents from a system's API: what a webhook missed, and whether what it said is so. Rejects with AppError `source_failed`. */
export interface IncidentReader {
  /** Those open now, and those that changed since `sinceMs`. */
  fetchIncidents(sinceMs: number, signal: AbortSignal): Promise<readonly OutsideIncident[]>;
  /** Undefined where the system does not have it. */
  fetchIncident(externalId: string, signal: AbortSignal): Promise<OutsideIncident | undefined>;
}

/** What reached the webhook's address: raw, before anything of it is believed. */
export interface RawDelivery {
  /** By lower-case name, as Node gives them. */
  headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  body: Uint8Array;
  /** DER of the client certificate that TLS was set up with, where there was one. */
  clientCertificate: Uint8Array | undefined;
}

/** One kind of sender: is it genuine, and what does it say? */
export interface WebhookProfile {
  /** Throws AppError `unauthenticated` unless the delivery is genuine and, where the scheme has a time, of now. */
  verify(raw: RawDelivery, nowMs: number): void;
  /**
   * Only for a verified delivery; `nowMs` is when it arrived, and no word counts as newer than that. Throws AppError
   * `invalid_request` for what is not of the documented shape, `unauthenticated` for what is too old to be a first delivery.
   */
  parse(raw: RawDelivery, nowMs: number): Delivery;
}
