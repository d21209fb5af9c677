import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runChild } from '../../src/cli/child.ts';
import type { Context } from '../../src/cli/context.ts';
import { Signals } from '../../src/cli/signals.ts';
import { part } from '../support/parts.ts';
import { cleanEnvironment, ONCALL, startProcess } from '../support/process.ts';
import { runCliTty } from '../support/pty.ts';
import { tempDir, waitFor } from '../support/temp.ts';

describe('the process', () => {
  it('ends quietly when the reader of its output goes away', async () => {
    const child = spawn(process.execPath, [ONCALL, '--help'], { env: cleanEnvironment() });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const [code] = await once(child, 'close');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('runs with its output closed', async () => {
    const child = startProcess('sh', ['-c', `exec "${process.execPath}" "${ONCALL}" --version >&- 2>&-`]);
    expect(await child.ended).toMatchObject({ code: 0 });
  });

  it.skipIf(process.platform !== 'linux')('fails where its result cannot be written', async () => {
    const child = startProcess('sh', ['-c', `exec "${process.execPath}" "${ONCALL}" --help > /dev/full`]);
    expect(await child.ended).toMatchObject({ code: 1 });
    expect(child.stderr()).toContain('ENOSPC');
  });
});

describe.skipIf(!part('pty'))('on a terminal', () => {
  it('Ctrl-C at a question changes nothing and ends with 130', async () => {
    const { code, text, raw } = await runCliTty(['deny', 'req_01abc'], {
      keys: [{ when: 'why not?', type: '\x03' }],
    });
    expect(code).toBe(130);
    expect(text).toContain('oncall: hint: nothing was changed');
    // The cursor is shown again, if it was ever hidden.
    expect(raw.lastIndexOf('\x1b[?25h')).toBeGreaterThanOrEqual(raw.lastIndexOf('\x1b[?25l'));
  });

  it('a question is answered, and the command goes on', async () => {
    const keys = [
      { when: 'why not?', type: '\r' },
      { when: 'a few words are needed', type: 'because\r' },
    ];
    const { code, text } = await runCliTty(['deny', 'req_01abc'], { keys });
    expect(code).toBe(4);
    expect(text).toContain('not enrolled');
  });

  it('errors are coloured, unless NO_COLOR', async () => {
    expect((await runCliTty(['wait'])).raw).toContain('\x1b[31merror\x1b[39m');
    expect((await runCliTty(['wait'], { env: { NO_COLOR: '1' } })).raw).not.toContain('\x1b[31m');
  });
});

describe('a child', () => {
  const context = {
    io: { stdin: { isTerminal: false } },
    signals: new Signals({ on: () => {} }),
  } as unknown as Context;
  const run = (program: string, ...args: string[]) =>
    runChild(context, { program, args, env: { PATH: '/usr/bin:/bin' } });

  it("gives its own exit code, or its signal's", async () => {
    expect(await run('sh', '-c', 'exit 42')).toBe(42);
    expect(await run('sh', '-c', 'kill -TERM $$')).toBe(143);
  });

  it.each([
    [false, 'SIGINT', 9],
    [false, 'SIGTERM', 8],
    // The terminal has told the whole foreground by then.
    [true, 'SIGINT', 0],
    [true, 'SIGTERM', 8],
  ] as const)('on a terminal (%s) that sent %s ends with %i', async (isTerminal, signal, code) => {
    const source = new EventEmitter();
    const signals = new Signals({ on: (name, listener) => void source.on(name, listener) });
    const folder = tempDir();
    const [ready, done] = [join(folder, 'ready'), join(folder, 'done')];
    const script = `trap 'exit 9' INT; trap 'exit 8' TERM; : > ${ready}; until [ -e ${done} ]; do sleep 0.02; done`;
    const on = { io: { stdin: { isTerminal } }, signals } as unknown as Context;
    const ended = runChild(on, { program: 'sh', args: ['-c', script], env: { PATH: '/usr/bin:/bin' } });
    await waitFor(() => existsSync(ready), { what: 'the child' });
    source.emit(signal, signal);
    writeFileSync(done, '');
    expect(await ended).toBe(code);
  });

  it('that is not found is 127, that cannot be started 126', async () => {
    await expect(run('no-such-program-here')).rejects.toMatchObject({ code: 'not_found', status: 127 });
    const file = join(tempDir(), 'plain');
    writeFileSync(file, 'x');
    chmodSync(file, 0o600);
    await expect(run(file)).rejects.toMatchObject({ status: 126 });
  });
});
