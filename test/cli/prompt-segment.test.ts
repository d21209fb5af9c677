// The prompt segment in the real shells: what a person sees, and what a row that is not ours cannot do.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { changedPromptLine, renderPromptLine } from '../../src/client/prompt-line.ts';
import type { StatusGrant } from '../../src/client/status-file.ts';
import { testContext } from '../client/fixture.ts';
import { part } from '../support/parts.ts';
import { cleanEnvironment, runCli, startProcess } from '../support/process.ts';
import { runTty } from '../support/pty.ts';
import { tempDir } from '../support/temp.ts';

const NOW = Date.parse('2026-01-05T02:14:00.000Z');
const NO_GLASS = { breakGlass: { open: [] } };

function grant(more: Partial<StatusGrant> = {}): StatusGrant {
  return {
    id: 'gr_1',
    target: { resource: 'db-replica', role: 'read' },
    kind: 'postgres',
    state: 'active',
    via: 'policy',
    rule: null,
    startsAt: new Date(NOW).toISOString(),
    endsAt: new Date(NOW + 7_200_000).toISOString(),
    hardEndsAt: new Date(NOW + 7_200_000).toISOString(),
    graceEndsAt: null,
    graceCause: null,
    extensionsLeft: 0,
    incidents: ['P1-123'],
    credentialExpiresAt: new Date(NOW + 600_000).toISOString(),
    renewal: null,
    extension: null,
    ...more,
  };
}
const at = (ms: number) => `${Math.floor(ms / 1000)} ${clock(ms)}`;
const clock = (ms: number) => new Date(ms).toTimeString().slice(0, 5);

describe('the row', () => {
  it('is the grant that ends first, then the others', () => {
    const later = grant({
      target: { resource: 'web', role: 'admin' },
      incidents: [],
      endsAt: '2026-01-05T06:00:00Z',
    });
    expect(renderPromptLine({ ...NO_GLASS, grants: [later, grant()] }, NOW)).toBe(
      `${at(NOW + 7_200_000)} P1-123 db-replica:read\n${at(Date.parse('2026-01-05T06:00:00Z'))} web:admin\n`,
    );
  });

  it('says what is not renewed any more', () => {
    const renewal = { state: 'refused', because: '$(touch x)', since: new Date(NOW).toISOString() } as const;
    expect(renderPromptLine({ ...NO_GLASS, grants: [grant({ renewal })] }, NOW)).toBe(
      `${at(NOW + 7_200_000)} not renewed: db-replica:read\n`,
    );
    const failing = { ...renewal, state: 'failing' } as const;
    expect(renderPromptLine({ ...NO_GLASS, grants: [grant({ renewal: failing })] }, NOW)).toContain(
      ' P1-123 ',
    );
  });

  it('is not there for what has ended, or is not held here', () => {
    const grants = [grant({ endsAt: new Date(NOW).toISOString() }), grant({ credentialExpiresAt: null })];
    expect(renderPromptLine({ ...NO_GLASS, grants }, NOW)).toBe('');
  });

  it.each([
    ['an incident that a shell would evaluate', { incidents: ['$(touch x)'] }, 'db-replica:read'],
    ['an incident of other characters', { incidents: ['P1@x+y'] }, 'db-replica:read'],
    ['an incident that is too long', { incidents: ['P'.repeat(60)] }, 'db-replica:read'],
    [
      'a role that is too long',
      { target: { resource: 'a'.repeat(40), role: 'b'.repeat(40) } },
      'a'.repeat(40),
    ],
  ])('leaves out %s', (_, more, text) => {
    expect(renderPromptLine({ ...NO_GLASS, grants: [grant(more)] }, NOW)).toBe(
      `${at(NOW + 7_200_000)} ${text}\n`,
    );
  });

  it('is not there at all for a resource that is no name, and never more than 20', () => {
    const evil = grant({ target: { resource: '`x`\n', role: 'r' } });
    expect(renderPromptLine({ ...NO_GLASS, grants: [evil] }, NOW)).toBe('');
    const many = Array.from({ length: 50 }, () => grant());
    expect(renderPromptLine({ ...NO_GLASS, grants: many }, NOW).split('\n')).toHaveLength(21);
  });

  it('is written only when it changes', () => {
    const { paths } = testContext();
    const [write, ...more] = changedPromptLine(paths, { ...NO_GLASS, grants: [grant()] }, NOW);
    expect([write?.path, more]).toEqual([paths.promptFile, []]);
    mkdirSync(paths.stateDir, { recursive: true });
    writeFileSync(paths.promptFile, write!.data, { mode: 0o600 });
    expect(changedPromptLine(paths, { ...NO_GLASS, grants: [grant()] }, NOW)).toEqual([]);
    expect(changedPromptLine(paths, { ...NO_GLASS, grants: [] }, NOW)).toHaveLength(1);
  });
});

const SHELLS = {
  bash: {
    file: '.bashrc',
    own: "PS1='mine$ '\nPROMPT_COMMAND='true;'\n",
    start: ['bash', '--rcfile', '.bashrc', '-i'],
  },
  zsh: { file: '.zshrc', own: "PS1='mine$ '\nsetopt promptsubst\n", start: ['zsh', '-i'] },
  fish: {
    file: '.config/fish/config.fish',
    own: "function fish_prompt; echo -n 'mine$ '; end\n",
    start: ['fish', '-i'],
  },
} as const;
/** Shows the prompt twice, without a terminal: what is shown must not pile up. */
const SHOW = {
  bash: `eval "$PROMPT_COMMAND"; eval "$PROMPT_COMMAND"; printf "%s\\n" "\${PS1@P}"`,
  zsh: 'for f in $precmd_functions $precmd_functions; do $f; done; print -P -- "$PS1"',
  fish: 'fish_prompt >/dev/null; fish_prompt; echo',
} as const;

describe.skipIf(!part('shells')).each(['bash', 'zsh', 'fish'] as const)('in %s', (shell) => {
  const soon = () => Date.now() + 90 * 60_000 + 30_000;
  const words = (ms: number) => (shell === 'fish' ? `until ${clock(ms)}` : '90m');

  /** A home with a space, a quote and an umlaut, set up. */
  async function shellHome() {
    const home = join(tempDir(), "Anä's home");
    const rc = join(home, SHELLS[shell].file);
    mkdirSync(dirname(rc), { recursive: true });
    // Where there is none, fish starts a process of its own that reads all man pages, and outlives the test.
    mkdirSync(join(home, '.local/share/fish/generated_completions'), { recursive: true });
    writeFileSync(rc, SHELLS[shell].own);
    chmodSync(rc, 0o644);
    const env = { ...cleanEnvironment(home), SHELL: `/usr/bin/${shell}` };
    const setup = (action: string) => runCli(['setup', 'prompt', action], { home, env });
    expect(await setup('--write')).toMatchObject({ code: 0 });
    const file = join(home, 'oncall', 'state', 'prompt');
    mkdirSync(dirname(file), { recursive: true });
    const write = (...rows: string[]) =>
      writeFileSync(file, rows.map((row) => `${row}\n`).join(''), { mode: 0o600 });
    /** PATH holds no program: a shell that starts one says so. */
    async function show(before = '', more: Record<string, string> = {}) {
      const child = startProcess(
        `/usr/bin/${SHELLS[shell].start[0]}`,
        [...SHELLS[shell].start.slice(1), '-c', `${before}${SHOW[shell]}`],
        {
          env: { ...env, PATH: '/nowhere', ...more },
          cwd: home,
          input: '',
        },
      );
      await child.ended;
      return { stdout: child.stdout(), stderr: child.stderr() };
    }
    return { home, env, rc, write, show, setup };
  }

  it.skipIf(!part('pty'))('shows what is held, in front of the own prompt', async () => {
    const { home, env, write } = await shellHome();
    const end = soon();
    write(`${at(end)} P1-123 db-replica:read`);
    const shown = `[P1-123 db-replica:read ${words(end)}] mine$ `;
    const { text, code } = await runTty([...SHELLS[shell].start], {
      // Of the terminal's own script.
      env: { ...env, SHELL: '/bin/sh' },
      cwd: home,
      keys: [
        { when: shell === 'fish' ? 'mine$' : shown, type: 'true\r' },
        { when: 'mine$', type: 'exit 3\r' },
      ],
    });
    expect(text).toContain(shown);
    expect(text).not.toContain(`] ${shown}`);
    expect(code).toBe(3);
  });

  it('starts no process, shows nothing of nothing, and follows the file', async () => {
    const { show, write } = await shellHome();
    expect(await show()).toEqual({
      stdout: 'mine$ \n',
      stderr: expect.not.stringMatching(/not found|Unknown|No such/),
    });
    const end = soon();
    write(`${at(end)} db-replica:read`);
    const { stdout, stderr } = await show();
    expect(stdout).toBe(`[db-replica:read ${words(end)}] mine$ \n`);
    expect(stderr).not.toMatch(/not found|Unknown|No such/);
  });

  it('evaluates nothing of a row, and shows none that is not plain', async () => {
    const { home, write, show } = await shellHome();
    const owned = join(home, 'owned');
    const end = soon();
    write(
      `${at(end)} $(echo >'${owned}')`,
      `${at(end)} \`echo >owned\``,
      `${at(end)} a;b`,
      `${at(end)} %n \\u`,
      `${at(end)} ${'x'.repeat(65)}`,
      `${at(end)} ä`,
      `${at(end)} a\tb`,
      `${at(end)} `,
      `$((1+1)) ${clock(end)} arithmetic`,
      `x[$(echo>owned)]0 ${clock(end)} subscript`,
      `0${at(end)} octal`,
      `99999999999999999999 ${clock(end)} overflow`,
      `${at(end).replace(':', '$(')} clock`,
      `${at(end)} sound`,
    );
    const { stdout } = await show();
    expect(stdout).toBe(`[sound ${words(end)}] mine$ \n`);
    expect(existsSync(owned) || existsSync(join(home, 'owned'))).toBe(false);
  });

  it.skipIf(shell === 'fish')(
    'does not show what has ended, and the time of day where the shell has no clock',
    async () => {
      const { write, show } = await shellHome();
      const end = soon();
      write(`${at(Date.now() - 1000)} ended`, `${at(end)} lives`);
      expect((await show()).stdout).toBe('[lives 90m] mine$ \n');
      const noClock = shell === 'bash' ? 'unset EPOCHSECONDS BASH_VERSION; ' : 'zmodload -u zsh/datetime; ';
      write(`${at(end)} lives`);
      expect((await show(noClock)).stdout).toBe(`[lives until ${clock(end)}] mine$ \n`);
    },
  );

  it('is there once, however often the file is read, and gone without a trace', async () => {
    const { rc, home, write, show, setup } = await shellHome();
    const end = soon();
    write(`${at(end)} lives`);
    const again = shell === 'fish' ? `source '${rc.replace("'", "\\'")}'; ` : `. "${rc}"; `;
    expect((await show(again)).stdout).toBe(`[lives ${words(end)}] mine$ \n`);
    expect(await setup('--remove')).toMatchObject({ code: 0 });
    expect(readFileSync(rc, 'utf8')).toBe(SHELLS[shell].own);
    expect(existsSync(home)).toBe(true);
  });

  it.skipIf(shell === 'fish')('leaves the exit status and shells that are strict alone', async () => {
    const { write, show } = await shellHome();
    const end = soon();
    write(`${at(end)} lives`);
    expect((await show('set -u; ')).stdout).toBe('[lives 90m] mine$ \n');
  });
});

it('is put where each shell looks', async () => {
  const home = tempDir();
  const fileOf = async (words: string, env: Record<string, string> = {}) => {
    const { stdout } = await runCli(['setup', 'prompt', '--json', ...words.split(' ')], { home, env });
    return (JSON.parse(stdout) as { file: string }).file;
  };
  expect(await fileOf('--shell bash')).toBe(join(home, '.bashrc'));
  expect(await fileOf('--shell zsh')).toBe(join(home, '.zshrc'));
  expect(await fileOf('--shell zsh', { ZDOTDIR: '/z' })).toBe('/z/.zshrc');
  expect(await fileOf('--shell fish')).toBe(join(home, '.config/fish/config.fish'));
  expect(await fileOf('--shell fish', { XDG_CONFIG_HOME: '/x' })).toBe('/x/fish/config.fish');
  expect(await fileOf('--shell fish', { XDG_CONFIG_HOME: 'x' })).toBe(join(home, '.config/fish/config.fish'));
});

it('refuses a shell that it does not know', async () => {
  for (const env of [{ SHELL: '/bin/tcsh' }, { SHELL: undefined }]) {
    const { code, stderr } = await runCli(['setup', 'prompt', '--write'], { env });
    expect({ code, hint: stderr.includes('--shell') }).toEqual({ code: 2, hint: true });
  }
});
