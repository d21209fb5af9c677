// What this device could not do by itself stands in the status, whoever looks.
import { describe, expect, it } from 'vitest';
import { textOf } from '../../src/cli/io.ts';
import { statusLines } from '../../src/cli/views/status.ts';
import type { StatusGrant } from '../../src/client/status-file.ts';
import { play } from './stage.ts';
import { statusReply } from './views.ts';

const NOW = Date.parse('2026-01-05T02:14:00.000Z');
const at = (minutes: number) => new Date(NOW + minutes * 60_000).toISOString();

async function linesWith(more: Partial<StatusGrant>): Promise<string> {
  const { stdout } = await play(['status', '--refresh', '--json'], {
    answers: {
      'GET /v1/status': statusReply,
      'GET /v1/resources': { resources: [], bundles: [] },
    },
  });
  const status = JSON.parse(stdout) as Parameters<typeof statusLines>[0];
  const [grant] = status.grants;
  const grants = [{ ...grant!, endsAt: at(18), credentialExpiresAt: at(3), ...more }];
  return statusLines({ ...status, grants }, NOW)
    .map(textOf)
    .join('\n');
}

describe('the status', () => {
  it('says why a credential is not renewed, and how long what is here lasts', async () => {
    const because = 'policy refuses to renew db-replica:read (the incident is over)';
    const refused = { renewal: { state: 'refused', because, since: at(-1) } } as const;
    expect(await linesWith(refused)).toMatch(
      /^not renewed \S+: policy refuses .*; what is here ends in 3m$/m,
    );
    expect(await linesWith({ ...refused, credentialExpiresAt: at(-1) })).toMatch(/^not renewed .*over\)$/m);
    const failing = { renewal: { ...refused.renewal, state: 'failing' } } as const;
    expect(await linesWith(failing)).toMatch(/^not renewed yet \S+:/m);
  });

  it('says that a window ends, whether somebody was asked, and what to type', async () => {
    const note = { because: 'policy refuses to extend db-replica', endsAt: at(18) };
    const asked = { extension: { ...note, state: 'asked', requestId: 'req_1' } } as const;
    expect(await linesWith(asked)).toMatch(/^ends \S+ in 18m: .*approvers are asked, oncall cancel req_1/m);
    const refused = { extension: { ...note, state: 'refused', requestId: null } } as const;
    expect(await linesWith(refused)).toMatch(/^ends \S+ in 18m: .*; oncall request \S+:\S+ asks anew$/m);
  });

  it('says nothing where nothing is wrong', async () => {
    expect(await linesWith({})).not.toMatch(/^(not renewed|ends )/m);
  });
});
