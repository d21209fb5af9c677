/**
 * When what is held is renewed, tried again and made longer. Pure: instants and spans are milliseconds by the clock of whoever
 * asks, `random` gives numbers from 0 up to 1.
 */
export type Random = () => number;

/** How long a credential lives, from the moment it came. */
export interface Life {
  readonly receivedAtMs: number;
  readonly lifeSeconds: number;
}

/** Half of a life, ±10 %: what was issued together is not renewed together. */
const [HALF, JITTER] = [0.5, 0.1];
const [FIRST_RETRY_MS, LONGEST_RETRY_MS] = [10_000, 300_000];
/** However little is left: asking more often would help nobody. */
const SHORTEST_RETRY_MS = 1_000;
/**
 * A broker that is back has all its agents back at once. Whoever was due first has least left, so a fixed share of that lets them
 * come in the order in which they were due, about as fast as they became due; chosen from none up, half would come at once.
 */
const [SHARE_OF_REST, SHARE_JITTER] = [0.75, 0.1];
/** What has run out already is missed by somebody. */
const LATE_SPREAD_MS = 20_000;
/** As the broker counts it (its windows.ts): it makes a window longer by itself at this moment, where it may. */
const [LEAD_MS, LEAD_SHARE] = [20 * 60_000, 1 / 4];
/** For the broker to have had its turn, and for the agents of one incident not to ask all at once. */
const [AFTER_BROKER_MS, AFTER_BROKER_SPREAD_MS] = [2_000, 10_000];

/** The share of its life after which a credential is renewed; chosen anew for each life. */
export function chooseShare(random: Random): number {
  return HALF * (1 - JITTER + 2 * JITTER * random());
}

export function renewAt({ receivedAtMs, lifeSeconds }: Life, share: number): number {
  return receivedAtMs + lifeSeconds * 1000 * share;
}

export function runsOutAt({ receivedAtMs, lifeSeconds }: Life): number {
  return receivedAtMs + lifeSeconds * 1000;
}

/**
 * How long to wait after the nth failure in a row (from 1) while `leftMs` of the life are left, or none: 10 s to 5 min, and no
 * longer than a share of what is left, so that there is always another try. One failure is a hiccup; after the second whatever
 * is away is away, and a fleet that goes on asking meets it with all its tries at once when it is back.
 */
export function retryDelay(failures: number, leftMs: number, random: Random): number {
  const doubled = Math.min(FIRST_RETRY_MS * 2 ** Math.max(0, failures - 1), LONGEST_RETRY_MS);
  const longest = failures > 1 && leftMs > 0 ? LONGEST_RETRY_MS : doubled;
  const chosen = longest * (0.5 + random() / 2);
  return Math.max(SHORTEST_RETRY_MS, leftMs > 0 ? Math.min(chosen, shareOf(leftMs, random)) : chosen);
}

/** How long to wait, once the broker is back, with what could not be renewed while it was away. */
export function spreadDelay(leftMs: number, random: Random): number {
  if (leftMs <= 0) return random() * LATE_SPREAD_MS;
  // Of a long life few were due while it was away: in whatever order.
  return leftMs * SHARE_OF_REST > LONGEST_RETRY_MS
    ? random() * LONGEST_RETRY_MS
    : Math.min(LONGEST_RETRY_MS, shareOf(leftMs, random));
}

function shareOf(leftMs: number, random: Random): number {
  return leftMs * SHARE_OF_REST * (1 - SHARE_JITTER + 2 * SHARE_JITTER * random());
}

/** When a window is to be made longer: 20 minutes before its end, or a quarter of a short one. */
export function extendAt(startsAtMs: number, endsAtMs: number, random: Random): number {
  const lead = Math.min(LEAD_MS, (endsAtMs - startsAtMs) * LEAD_SHARE);
  return endsAtMs - lead + Math.min(AFTER_BROKER_MS + random() * AFTER_BROKER_SPREAD_MS, lead / 2);
}
