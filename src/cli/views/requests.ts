import { formatDuration } from '../../protocol/durations.ts';
import type { RequestView, TargetDecision } from '../../protocol/messages.ts';
import { formatTarget } from '../../protocol/names.ts';
import type { Line, Piece, Style } from '../io.ts';
import { propertyLines, tableLines } from '../table.ts';
import { bothTimes } from '../times.ts';
import { grantedLine } from './grants.ts';
import { waitingWords } from './waiting.ts';

/** Everything about one request: what was asked, what was decided and why, who answered, what came of it. */
export function requestLines(request: RequestView, now: number): Line[] {
  const properties: [string, Piece][] = [
    ['request', request.id === '' ? 'dry run, nothing was recorded' : request.id],
    ['state', { text: request.state, style: STATE_STYLE[request.state] }],
    ['user', request.user],
    ...(request.bundle ? [['bundle', request.bundle] satisfies [string, Piece]] : []),
    ['incident', request.incident ?? '-'],
    ['reason', request.reason ?? '-'],
    ['for', formatDuration(request.durationSeconds)],
  ];
  if (request.state === 'pending' && request.id !== '') {
    properties.push(['expires', bothTimes(request.expiresAt, now)]);
  }
  return [
    ...propertyLines(properties),
    ...request.targets.flatMap(decisionLines),
    ...request.answers.map((answer): Line => {
      const verdict = answer.verdict === 'approve' ? 'approved' : 'denied';
      const reason = answer.reason === null ? '' : `: ${answer.reason}`;
      return `${verdict} by ${answer.approver} at ${bothTimes(answer.at, now)}${reason}`;
    }),
    // An older broker has no stages.
    ...(request.waiting ?? []).map((waiting): Line => `waits on ${waitingWords(waiting, now)}`),
    ...request.grants.map((grant) => grantedLine(grant, now)),
  ];
}

/** What the policy says about one target, with the rules in their authors' words. */
export function decisionLines(decision: TargetDecision): Line[] {
  const lines: Line[] = [
    [
      { text: formatTarget(decision.target), style: 'bold' },
      ': ',
      { text: EFFECT_WORDS[decision.effect], style: EFFECT_STYLE[decision.effect] },
    ],
    ...decision.rules.map(
      ({ id, effect, because }): Line => `  ${effect} ${id}${because === null ? '' : `: ${because}`}`,
    ),
  ];
  if (decision.rules.length === 0) lines.push('  no rule permits it');
  if (decision.effect === 'ask')
    lines.push(`  can be approved by ${decision.approvers.join(', ') || 'nobody'}`);
  return lines;
}

/** Several requests, one a line: for those who answer them. */
export function requestTable(requests: readonly RequestView[], now: number): Line[] {
  return tableLines(requests, [
    { header: 'REQUEST', cell: ({ id }) => id },
    { header: 'USER', cell: ({ user }) => ({ text: user, style: 'bold' }) },
    { header: 'TARGETS', cell: (request) => askedFor(request) },
    { header: 'FOR', cell: ({ durationSeconds }) => formatDuration(durationSeconds) },
    { header: 'INCIDENT', cell: ({ incident }) => incident ?? '-' },
    { header: 'STAGE', cell: ({ waiting }) => stagesText(waiting ?? []) },
    { header: 'ASKED', cell: ({ waiting }) => askedText(waiting ?? []) },
    { header: 'EXPIRES', cell: ({ expiresAt }) => bothTimes(expiresAt, now) },
    { header: 'REASON', cell: ({ reason }) => reason ?? '-' },
  ]);
}

/** The targets, and the bundle that stands for them. */
function askedFor({ bundle, targets }: RequestView): string {
  const names = targets.map(({ target }) => formatTarget(target)).join(' ');
  return bundle ? `${bundle}: ${names}` : names;
}

function stagesText(waiting: RequestView['waiting']): string {
  return waiting.map(({ stage, stages }) => `${stage}/${stages}`).join(' ') || '-';
}

function askedText(waiting: RequestView['waiting']): string {
  return [...new Set(waiting.flatMap(({ asked }) => asked.map(({ user }) => user)))].join(' ') || '-';
}

/** Why it was refused, in one line: the rules' words, else an approver's. */
export function whyDenied(request: RequestView): string {
  const denied = request.answers.find(({ verdict }) => verdict === 'deny');
  if (denied !== undefined) return `${denied.approver} said no${denied.reason ? `: ${denied.reason}` : ''}`;
  const reasons = request.targets
    .filter(({ effect }) => effect === 'deny')
    .map(({ target, rules }) => {
      const words = rules.map(({ id, because }) => because ?? `rule ${id}`);
      return `${formatTarget(target)}: ${words.join('; ') || 'no rule permits it'}`;
    });
  return reasons.join(' · ') || request.outcome || 'denied';
}

const STATE_STYLE: Record<RequestView['state'], Style> = {
  pending: 'yellow',
  granted: 'green',
  denied: 'red',
  cancelled: 'dim',
  expired: 'dim',
};
const EFFECT_WORDS = { grant: 'granted by policy', ask: 'needs an approval', deny: 'denied' } as const;
const EFFECT_STYLE = { grant: 'green', ask: 'yellow', deny: 'red' } as const;
