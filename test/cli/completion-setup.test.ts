// `oncall completion` and `oncall setup completion`: where it goes, that a new shell then completes, and that it goes away again.
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMPLETION_SHELLS } from '../../src/cli/completion-script.ts';
import { placeOf } from '../../src/cli/setup/completion.ts';
import { part } from '../support/parts.ts';
import { cleanEnvironment, ONCALL, runCli, startProcess } from '../support/process.ts';
import { runTty } from '../support/pty.ts';
import { tempDir } from '../support/temp.ts';

describe('oncall completion', () => {
  it.each(Object.entries(COMPLETION_SHELLS))(
    'prints what %s loads, with no home and no configuration',
    async (shell, file) => {
      const env = { HOME: undefined, ONCALL_HOME: undefined };
      const { code, stdout, stderr } = await runCli(['completion', shell], { env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toBe(readFileSync(join('completions', file), 'utf8'));
    },
  );

  it('gives the same as JSON, and says what it knows', async () => {
    const { stdout } = await runCli(['completion', 'fish', '--json']);
    const script = readFileSync('completions/oncall.fish', 'utf8');
    expect(JSON.parse(stdout)).toEqual({ schema: 'oncall.completion/v1', shell: 'fish', script });
    const unknown = await runCli(['completion', 'tcsh']);
    expect(unknown).toMatchObject({ code: 2, stdout: '' });
    expect(unknown.stderr).toContain('hint: use one of: bash, zsh, fish, powershell');
    expect(await runCli(['completion'])).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('oncall setup completion', () => {
  const HOME = '/home/ana';
  it.each([
    ['bash', {}, true, '/home/ana/.local/share/bash-completion/completions/oncall'],
    ['bash', { XDG_DATA_HOME: '/data' }, true, '/data/bash-completion/completions/oncall'],
    ['bash', { BASH_COMPLETION_USER_DIR: '/own:/other' }, true, '/own/completions/oncall'],
    ['bash', { XDG_DATA_HOME: 'data' }, true, '/home/ana/.local/share/bash-completion/completions/oncall'],
    // Nothing looks in that folder.
    ['bash', { XDG_DATA_HOME: '/my data' }, true, '/home/ana/.bashrc'],
    ['bash', {}, false, '/home/ana/.bashrc'],
    ['zsh', {}, true, '/home/ana/.zshrc'],
    ['zsh', { ZDOTDIR: '/z' }, true, '/z/.zshrc'],
    ['fish', {}, true, '/home/ana/.config/fish/completions/oncall.fish'],
    ['fish', { XDG_CONFIG_HOME: '/config' }, true, '/config/fish/completions/oncall.fish'],
    ['powershell', {}, true, '/home/ana/.config/powershell/profile.ps1'],
    ['powershell', { OS: 'Windows_NT' }, true, '/home/ana/Documents/PowerShell/profile.ps1'],
  ] as const)('for %s with %j and a loader %s goes to %s', (shell, env, hasLoader, file) => {
    expect(placeOf(shell, { HOME, ...env }, hasLoader).file).toBe(file);
  });

  it('knows the shell by SHELL or --shell, and PowerShell by what it sets', async () => {
    const fileOf = async (words: string[], env: Record<string, string | undefined>) => {
      const { stdout, code } = await runCli(['setup', 'completion', '--json', ...words], { env });
      return code === 0 ? (JSON.parse(stdout) as { file: string }).file.split('/').at(-1) : code;
    };
    expect(await fileOf([], { SHELL: '/bin/zsh' })).toBe('.zshrc');
    expect(await fileOf(['--shell', 'fish'], { SHELL: '/bin/zsh' })).toBe('oncall.fish');
    expect(await fileOf(['--shell', 'pwsh'], {})).toBe('profile.ps1');
    expect(await fileOf([], { SHELL: undefined, PSModulePath: '/x' })).toBe('profile.ps1');
    expect(await fileOf([], { SHELL: '/bin/tcsh' })).toBe(2);
  });

  it('takes away what was written before there was a loader', async () => {
    const home = tempDir();
    const env = { SHELL: '/bin/bash' };
    expect(await runCli(['setup', 'completion', '--write'], { home, env })).toMatchObject({ code: 0 });
    const written = ['.bashrc', '.local/share/bash-completion/completions/oncall'].map((path) =>
      join(home, path),
    );
    const [from] = written.filter((path) => existsSync(path));
    const [to] = written.filter((path) => path !== from);
    mkdirSync(dirname(to!), { recursive: true });
    writeFileSync(to!, readFileSync(from!, 'utf8').replace(' (made this file)', ''));
    writeFileSync(from!, '');
    expect(await runCli(['setup', 'completion', '--remove'], { home, env })).toMatchObject({ code: 0 });
    expect(readFileSync(to!, 'utf8')).toBe('');
  });

  const OWN = {
    bash: ['.bashrc', ". /usr/share/bash-completion/bash_completion\nPS1='ready-%'\n"],
    zsh: ['.zshrc', "PS1='ready-%%'\n"],
    fish: ['.config/fish/config.fish', "function fish_prompt; echo -n 'ready-%'; end\n"],
  } as const;

  it.skipIf(!part('shells') || !part('pty')).each([
    ['bash', 'home'],
    ['bash', "Anä's home"],
    ['zsh', "Anä's home"],
    ['fish', "Anä's home"],
  ] as const)(
    'has a new %s in %s complete, and the program that is run, and nothing any more once it is removed',
    async (shell, folder) => {
      const home = join(tempDir(), folder);
      const [name, own] = OWN[shell];
      mkdirSync(dirname(join(home, name)), { recursive: true });
      mkdirSync(join(home, '.local/share/fish/generated_completions'), { recursive: true });
      writeFileSync(join(home, name), own);
      // What is completed as an argument of the program.
      mkdirSync(join(home, 'folder-of-mine'));
      // fish completes only what there is.
      const bin = tempDir();
      symlinkSync(ONCALL, join(bin, 'oncall'));
      const clean = cleanEnvironment(home);
      const env = { ...clean, PATH: `${bin}:${clean.PATH}`, SHELL: `/usr/bin/${shell}` };
      const setup = (action: string) => runCli(['setup', 'completion', action, '--json'], { home, env });
      expect(await setup('--write')).toMatchObject({ code: 0, stderr: '' });
      const typed = [
        { line: 'oncall reviews cl', whole: 'oncall reviews close' },
        { line: 'oncall run db -- mkdir --par', whole: 'mkdir --parents' },
        { line: 'oncall run db -- ls folder-of', whole: 'ls folder-of-mine' },
      ];
      // What fish shows has colours in its midst: it is asked instead.
      const asked = typed.map(({ line }) => `complete -C '${line}'`).join('; ');
      const { text } = await runTty(shell === 'fish' ? ['fish', '-c', asked] : [shell, '-i'], {
        env: { ...env, SHELL: '/bin/sh' },
        cwd: home,
        timeoutMs: 20_000,
        keys:
          shell === 'fish'
            ? []
            : [
                ...typed.map(({ line }, index) => ({
                  when: typed[index - 1]?.whole ?? 'ready-%',
                  type: `\x15${line}\t`,
                })),
                { when: typed.at(-1)?.whole ?? '', type: '\x15exit\r' },
              ],
      });
      for (const { whole } of typed) expect(text).toContain(whole.split(' ').at(-1));
      expect(text).not.toMatch(/not found|no such|error/i);
      expect(await setup('--remove')).toMatchObject({ code: 0, stderr: '' });
      expect(readFileSync(join(home, name), 'utf8')).toBe(own);
      expect(existsSync(join(home, '.local/share/bash-completion/completions/oncall'))).toBe(false);
      expect(existsSync(join(home, '.config/fish/completions/oncall.fish'))).toBe(false);
    },
  );

  it.skipIf(!part('shells')).each(['bash', 'zsh', 'fish'] as const)(
    'lets %s start in peace where the package has moved',
    async (shell) => {
      const home = tempDir();
      const env = { ...cleanEnvironment(home), SHELL: `/usr/bin/${shell}` };
      const { stdout } = await runCli(['setup', 'completion', '--write', '--json'], { home, env });
      const { file } = JSON.parse(stdout) as { file: string };
      const text = readFileSync(file, 'utf8').replaceAll(resolve('completions'), '/nowhere');
      writeFileSync(file, text);
      const child = startProcess(shell, ['-c', `${shell === 'fish' ? 'source' : '.'} '${file}'`], {
        env,
        input: '',
      });
      expect(await child.ended).toMatchObject({ code: shell === 'fish' ? 1 : 0 });
      expect(child.output()).toBe('');
    },
  );
});
