/** What has happened to a grant, told wherever somebody may look: the log, the status file, the desktop. */
import type { ClientConfig } from '../client/config.ts';
import type { ClientContext } from '../client/context.ts';
import { noteNotes } from '../client/hold.ts';
import { isAppError } from '../protocol/errors.ts';
import { formatTarget } from '../protocol/names.ts';
import { formatInstant } from '../protocol/time.ts';
import type { AgentLog } from './log.ts';
import type { Notify } from './notify.ts';
import type { Outcome } from './renewals.ts';
import type { WindowOutcome } from './windows.ts';

export interface TellInput {
  readonly context: ClientContext;
  readonly config: ClientConfig;
  readonly now: () => number;
  readonly log: AgentLog;
  readonly notify: Notify;
}

export interface Teller {
  renewal(outcome: Outcome): Promise<void>;
  window(outcome: WindowOutcome): void;
}

export function createTeller({ context, config, now, log, notify }: TellInput): Teller {
  return {
    async renewal(outcome) {
      const { grant } = outcome;
      const about = { grant: grant.id, target: formatTarget(grant.target) };
      if (outcome.kind === 'renewed') return log.write('renewed', { ...about, expiresAt: outcome.expiresAt });
      const { code, message, hint } = outcome.error;
      log.write(`renewal.${outcome.kind}`, { ...about, code, message });
      if (outcome.kind === 'gone') return;
      const because = hint === undefined ? message : `${message} (${hint})`;
      const state = outcome.kind === 'refused' ? 'refused' : 'failing';
      if (state === 'refused') notify(`${about.target} is not renewed`, because);
      const renewal = { state, because, since: formatInstant(now()) } as const;
      await noteNotes(context, config, grant.id, { renewal }).catch((error) =>
        log.write('note.failed', { ...about, message: wordsOf(error) }),
      );
    },

    window(outcome) {
      const { grant } = outcome;
      const about = { grant: grant.id, target: formatTarget(grant.target) };
      if (outcome.kind === 'failed')
        return log.write('extension.failed', { ...about, message: outcome.error.message });
      if (outcome.kind === 'extended') return log.write('extended', { ...about, endsAt: grant.endsAt });
      const { because, requestId, endsAt } = outcome.note;
      log.write(`extension.${outcome.kind}`, { ...about, endsAt, because, request: requestId });
      const next =
        outcome.kind === 'asked'
          ? `approvers are asked; oncall cancel ${requestId} takes that back`
          : `oncall request ${about.target}`;
      notify(`${about.target} ends soon`, `${because}: ${next}`);
    },
  };
}

/** For our own log: never what an unknown error says, which may hold anything. */
export function wordsOf(error: unknown): string {
  if (isAppError(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.name : 'unknown';
}
