/**
 * Windows that are about to end: made longer where policy lets them be, else the approvers are asked for a new one under the
 * usual chain, early enough for people to answer. Once for each end, whatever is restarted in between: what was asked stands in
 * the status file.
 */
import { askRequest, dryRunRequest, extendGrant, getRequest } from '../client/calls.ts';
import type { Client } from '../client/client.ts';
import { noteGrant, noteNotes } from '../client/hold.ts';
import type { ExtensionNote, StatusGrant } from '../client/status-file.ts';
import { AppError, isAppError } from '../protocol/errors.ts';
import type { AskRequest, GrantView } from '../protocol/messages.ts';
import { extendAt, type Random, retryDelay } from './schedule.ts';

/** Not what a later try could change. */
const FINAL: readonly string[] = [
  'denied',
  'forbidden',
  'ended',
  'not_found',
  'invalid_request',
  'unauthenticated',
];

export type WindowOutcome =
  | { readonly kind: 'extended'; readonly grant: GrantView }
  | { readonly kind: 'asked'; readonly grant: GrantView; readonly note: ExtensionNote }
  | { readonly kind: 'refused'; readonly grant: GrantView; readonly note: ExtensionNote }
  | { readonly kind: 'failed'; readonly grant: GrantView; readonly error: AppError };

export interface Windows {
  /** What the broker says of them now, and what was noted about them. `offsetMs`: its clock minus ours. */
  watch(grants: readonly GrantView[], notes: readonly StatusGrant[], offsetMs: number): void;
  nextAt(): number | undefined;
  dueAt(grantId: string): number | undefined;
  /** Never throws. */
  extendDue(client: Client): Promise<readonly WindowOutcome[]>;
  /** What became of what was asked for, of which `pending` are open still. */
  settleAsked(client: Client, pending: readonly string[]): Promise<readonly WindowOutcome[]>;
}

interface Watched {
  grant: GrantView;
  dueAtMs: number;
  endsAtMs: number;
  note: ExtensionNote | null;
  failures: number;
}

export function createWindows({ now, random }: { now: () => number; random: Random }): Windows {
  let watched = new Map<string, Watched>();

  function watchOne(grant: GrantView, note: ExtensionNote | null, offsetMs: number): Watched {
    const before = watched.get(grant.id);
    if (before?.grant.endsAt === grant.endsAt) return { ...before, grant, note };
    const [startsAtMs, endsAtMs] = [
      Date.parse(grant.startsAt) - offsetMs,
      Date.parse(grant.endsAt) - offsetMs,
    ];
    return { grant, note, endsAtMs, dueAtMs: extendAt(startsAtMs, endsAtMs, random), failures: 0 };
  }

  async function noted(client: Client, one: Watched, note: ExtensionNote): Promise<ExtensionNote> {
    one.note = note;
    await noteNotes(client.context, client.config, one.grant.id, { extension: note });
    return note;
  }

  async function extend(client: Client, one: Watched): Promise<WindowOutcome> {
    const { grant } = one;
    try {
      const longer = await extendGrant(client.broker, grant.id, {});
      await noteGrant(client.context, client.config, longer);
      watched.delete(grant.id);
      return { kind: 'extended', grant: longer };
    } catch (error) {
      if (!isAppError(error, 'denied')) throw error;
      return await ask(client, one, error);
    }
  }

  async function ask(client: Client, one: Watched, refusal: AppError): Promise<WindowOutcome> {
    const { grant } = one;
    const about: AskRequest = {
      targets: [grant.target],
      ...(grant.incidents[0] !== undefined && { incident: grant.incidents[0] }),
      reason: `the window of ${grant.id} ends`,
    };
    const isAsked = (await dryRunRequest(client.broker, about)).state === 'pending';
    const request = isAsked ? await askRequest(client.broker, about) : undefined;
    const note = await noted(client, one, {
      state: request?.state === 'pending' ? 'asked' : 'refused',
      because: refusal.message,
      requestId: request?.id ?? null,
      endsAt: grant.endsAt,
    });
    return { kind: note.state, grant, note };
  }

  return {
    watch(grants, notes, offsetMs) {
      // Break-glass is never made longer, nor are approvers asked for what somebody opened without them.
      const standing = grants.filter(
        ({ state, via, graceEndsAt }) => state === 'active' && via !== 'break-glass' && graceEndsAt === null,
      );
      const noteOf = ({ id, endsAt }: GrantView) => {
        const note = notes.find((one) => one.id === id)?.extension ?? null;
        return note?.endsAt === endsAt ? note : null;
      };
      watched = new Map(standing.map((grant) => [grant.id, watchOne(grant, noteOf(grant), offsetMs)]));
    },
    nextAt() {
      const times = [...watched.values()].filter(({ note }) => note === null).map(({ dueAtMs }) => dueAtMs);
      return times.length === 0 ? undefined : Math.min(...times);
    },
    dueAt(grantId) {
      const one = watched.get(grantId);
      return one?.note === null ? one.dueAtMs : undefined;
    },
    async extendDue(client) {
      const outcomes: WindowOutcome[] = [];
      for (const one of [...watched.values()]) {
        if (one.note !== null || one.dueAtMs > now() || one.endsAtMs <= now()) continue;
        try {
          outcomes.push(await extend(client, one));
        } catch (error) {
          outcomes.push(await afterFailure(client, one, error));
        }
      }
      return outcomes;
    },
    async settleAsked(client, pending) {
      const outcomes: WindowOutcome[] = [];
      for (const one of watched.values()) {
        const { note, grant } = one;
        if (note?.state !== 'asked' || note.requestId === null || pending.includes(note.requestId)) continue;
        const request = await getRequest(client.broker, note.requestId).catch(() => undefined);
        if (request === undefined || request.state === 'pending' || request.state === 'granted') continue;
        const because = request.outcome ?? request.state;
        const refused = await noted(client, one, { ...note, state: 'refused', because });
        outcomes.push({ kind: 'refused', grant, note: refused });
      }
      return outcomes;
    },
  };

  async function afterFailure(client: Client, one: Watched, error: unknown): Promise<WindowOutcome> {
    const { grant } = one;
    const reported = isAppError(error) ? error : undefined;
    if (reported !== undefined && FINAL.includes(reported.code)) {
      const because = reported.message;
      const note = { state: 'refused' as const, because, requestId: null, endsAt: grant.endsAt };
      return { kind: 'refused', grant, note: await noted(client, one, note).catch(() => note) };
    }
    one.failures += 1;
    one.dueAtMs = now() + retryDelay(one.failures, one.endsAtMs - now(), random);
    return {
      kind: 'failed',
      grant,
      error: reported ?? new AppError('internal', 'something went wrong inside oncall'),
    };
  }
}
