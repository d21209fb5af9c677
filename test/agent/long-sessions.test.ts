// What people are in the middle of goes on: a transaction in psql and a session over ssh, through ten renewals of credentials that
// live for seconds, kept by the agent alone.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bringTargets } from '../e2e/target-guide.ts';
import { succeeded } from '../e2e/world.ts';
import { part } from '../support/parts.ts';
import { startProcess } from '../support/process.ts';
import { waitFor } from '../support/temp.ts';
import { machine } from './agent-world.ts';

const RENEWALS = 10;

describe.skipIf(!part('postgres') || !part('psql') || !part('sshd'))('long work', () => {
  it('in psql and over ssh survives ten renewals untouched', async () => {
    const { world } = await bringTargets();
    const short = world.read('catalogue.yaml').replace('credential: 10m', 'credential: 5s');
    world.write('catalogue.yaml', short.replace('    type: ssh\n', '    type: ssh\n    credential: 5s\n'));
    succeeded(await world.operator('broker check'));
    await world.serve();
    await world.enroll('ana', 'dora');
    succeeded(await world.as('dora', 'incident declare P1-123 --service orders --priority P1'));
    const ana = machine(world.home('ana'));
    succeeded(await ana.run('request db-replica db-host -i P1-123'));
    await ana.logged('started');

    const service = { PGSERVICEFILE: ana.path('run/pg_service.conf'), PGPASSFILE: ana.path('run/pgpass') };
    const psql = startProcess('psql', ['-XAt', 'service=db-replica'], {
      env: { PATH: '/usr/bin:/bin', ...service },
    });
    psql.write("begin; create temp table mine as select 'kept' as word;\nselect 'open ' || current_user;\n");
    await psql.waitForOutput(/open oncall_ana_\w+/);
    const ssh = startProcess('ssh', ['-F', join(ana.path('run'), 'ssh_config'), 'db-host-1', 'echo $$; cat']);
    await ssh.waitForOutput(/^\d+\n/);

    const renewed = (target: string) =>
      ana.log().filter((line) => line.event === 'renewed' && line.target === target).length;
    await waitFor(
      () => ['db-replica:read', 'db-host:operator'].every((target) => renewed(target) >= RENEWALS),
      {
        what: `ten renewals of both in ${JSON.stringify(ana.log().slice(-20))}`,
        timeoutMs: 90_000,
      },
    );

    psql.write("select 'still ' || word from mine;\ncommit;\nselect 'done ' || current_user;\n");
    psql.endInput();
    expect(await psql.ended).toEqual({ code: 0, signal: null });
    expect(psql.output()).toMatch(/open (oncall_ana_\w+)\n[\s\S]*still kept\nCOMMIT\ndone \1\n/);
    ssh.write('still here\n');
    await ssh.waitForOutput('still here');
    ssh.endInput();
    expect(await ssh.ended).toEqual({ code: 0, signal: null });
    // And what is new works as well: the credentials in the files are today's.
    const again = startProcess('ssh', ['-F', join(ana.path('run'), 'ssh_config'), 'db-host-1', 'true'], {
      input: '',
    });
    expect(await again.ended).toEqual({ code: 0, signal: null });
    expect(ana.log().filter(({ event }) => event.startsWith('renewal.'))).toEqual([]);
  }, 180_000);
});
