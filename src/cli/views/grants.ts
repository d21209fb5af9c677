import type { GrantView } from '../../protocol/messages.ts';
import { formatTarget } from '../../protocol/names.ts';
import type { Line, Piece } from '../io.ts';
import { type Column, tableLines } from '../table.ts';
import { bothTimes, localWords } from '../times.ts';
import { BREAK_GLASS } from './break-glass-words.ts';

/** A table of grants; `withUser` where they may be other people's. */
export function grantTable(
  grants: readonly GrantView[],
  now: number,
  { withUser = false }: { withUser?: boolean } = {},
): Line[] {
  const columns: Column<GrantView>[] = [
    { header: 'TARGET', cell: (grant) => ({ text: formatTarget(grant.target), style: 'bold' }) },
    { header: 'STATE', cell: (grant) => statePiece(grant) },
    { header: 'VIA', cell: ({ via, rule }) => viaPiece(via, rule ?? null) },
    { header: 'ENDS', cell: (grant) => bothTimes(grant.endedAt ?? endOf(grant), now) },
    { header: 'INCIDENTS', cell: (grant) => grant.incidents.join(' ') || '-' },
    { header: 'GRANT', cell: (grant) => grant.id },
  ];
  const user: Column<GrantView> = { header: 'USER', cell: (grant) => grant.user };
  return tableLines(grants, withUser ? [user, ...columns] : columns);
}

/** `shift (orders-primary-read)`: how it was opened, and the automation rule that did. Break-glass is not to be overlooked. */
export function viaPiece(via: string, rule: string | null): Piece {
  if (via === 'break-glass') return { text: BREAK_GLASS, style: 'red' };
  return rule === null ? via : `${via} (${rule})`;
}

/** What comes first: the end of the window, or of the grace. */
export function endOf({ endsAt, graceEndsAt }: Pick<GrantView, 'endsAt' | 'graceEndsAt'>): string {
  return graceEndsAt && graceEndsAt < endsAt ? graceEndsAt : endsAt;
}

/** One line for one grant that has just been got: what, until when, and what may follow. */
export function grantedLine(grant: GrantView, now: number): Line {
  const extensions = grant.extensionsLeft > 0 ? `, extendable to ${bothTimes(grant.hardEndsAt, now)}` : '';
  return [
    { text: grant.state === 'ready' ? 'ready' : grant.held ? 'already held' : 'granted', style: 'green' },
    ' ',
    { text: formatTarget(grant.target), style: 'bold' },
    ` until ${bothTimes(grant.endsAt, now)}${extensions}  ${grant.id}`,
  ];
}

/** What is proven about an ended grant: a line for each credential, as far as the proof goes. */
export function endedLines(grant: GrantView, now: number): Line[] {
  const head: Line = [
    { text: grant.state, style: grant.state === 'ended' ? 'green' : 'red' },
    ' ',
    { text: formatTarget(grant.target), style: 'bold' },
    `  ${grant.id}`,
  ];
  const credentials = grant.credentials.map(
    ({ handle, state, proof }): Line => [
      `  ${handle}: `,
      state === 'ended'
        ? { text: localWords(proof, now) || 'ended', style: 'green' }
        : {
            text: localWords(proof, now) || `${state}, not proven yet: the broker keeps trying`,
            style: 'yellow',
          },
    ],
  );
  return [head, ...(credentials.length === 0 ? ['  no credential was ever issued'] : credentials)];
}

function statePiece({ state, endCause }: GrantView): Piece {
  if (state !== 'ended') return { text: state, style: 'green' };
  return endCause === null ? 'ended' : `ended (${endCause})`;
}
