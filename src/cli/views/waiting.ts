/** Whom a pending request waits for: who was asked, whether that reached them, what is missing, who is next and when. */
import type { Reach, WaitingView } from '../../protocol/messages.ts';
import { relativeTime } from '../times.ts';

const REACH_WORDS: Record<Reach, string> = {
  sent: 'told',
  sending: 'being told',
  failed: 'could not be reached',
  none: 'no channel leads there',
};

/** `carla (told), ben (being told)`. */
export function askedWords({ asked }: WaitingView): string {
  return asked.map(({ user, reach }) => `${user} (${REACH_WORDS[reach]})`).join(', ') || 'nobody';
}

/** `leads, stage 1 of 2: asked carla (told); missing: 1 of group:leads; then ben in 4m`. */
export function waitingWords(waiting: WaitingView, now: number): string {
  const { chain, stage, stages, missing } = waiting;
  return [
    `${chain}${stages > 1 ? `, stage ${stage} of ${stages}` : ''}: asked ${askedWords(waiting)}`,
    ...(missing.length === 0 ? [] : [`missing: ${missing.join(', ')}`]),
    ...(waiting.next === null ? [] : [nextWords(waiting.next, now)]),
  ].join('; ');
}

function nextWords({ at, what, approvers }: NonNullable<WaitingView['next']>, now: number): string {
  const when = relativeTime(Date.parse(at), now);
  if (what === 'next') return `then ${approvers.join(', ') || 'the next stage'} ${when}`;
  return what === 'deny' ? `else denied ${when}` : `else opened ${when} without a yes, and reviewed`;
}
