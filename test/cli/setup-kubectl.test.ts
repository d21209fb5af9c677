// What `oncall setup kubectl` writes, in the real shells.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { part } from '../support/parts.ts';
import { runCli, startProcess } from '../support/process.ts';
import { tempDir } from '../support/temp.ts';

const START_FILES = { bash: '.bashrc', zsh: '.zshrc', fish: '.config/fish/config.fish' } as const;

/** A home with a kubectl of this version, or none. */
function homeWith(minor?: string, folder = 'Anä Ruiz') {
  const home = join(tempDir(), folder);
  mkdirSync(join(home, 'bin'), { recursive: true });
  if (minor !== undefined) {
    const answer = JSON.stringify({ clientVersion: { major: '1', minor } });
    writeFileSync(join(home, 'bin', 'kubectl'), `#!/bin/sh\necho '${answer}'\n`);
    chmodSync(join(home, 'bin', 'kubectl'), 0o755);
  }
  const path = minor === undefined ? join(home, 'bin') : `${join(home, 'bin')}:/usr/bin:/bin`;
  const env = { HOME: home, ONCALL_HOME: undefined, SHELL: undefined, PATH: path };
  return {
    home,
    setup: (words: string) => runCli(['setup', 'kubectl', ...words.split(' ')], { home, env }),
    tool: (name: string) => join(home, '.local/state/oncall/tools', name),
  };
}

async function kubeconfigIn(shell: string, home: string, kubeconfig?: string): Promise<string> {
  const file = join(home, START_FILES[shell as keyof typeof START_FILES]);
  const source = `source '${file}'`;
  const child = startProcess(shell, ['-c', `${source}; ${source}; env | grep '^KUBECONFIG='`], {
    env: {
      HOME: home,
      PATH: '/usr/bin:/bin',
      LANG: 'C.UTF-8',
      ...(kubeconfig !== undefined && { KUBECONFIG: kubeconfig }),
    },
    input: '',
  });
  await child.ended;
  expect(child.stderr()).toBe('');
  return child.stdout().trim().replace('KUBECONFIG=', '');
}

describe.skipIf(!part('shells')).each(['bash', 'zsh', 'fish'] as const)('in %s', (shell) => {
  it('adds our file behind the person’s own, once', async () => {
    const { home, setup, tool } = homeWith('32');
    expect(await setup(`--write --shell ${shell}`)).toMatchObject({ code: 0 });
    const ours = tool('kubeconfig');
    expect(await kubeconfigIn(shell, home)).toBe(`${home}/.kube/config:${ours}`);
    expect(await kubeconfigIn(shell, home, '')).toBe(`${home}/.kube/config:${ours}`);
    expect(await kubeconfigIn(shell, home, '/a:/b')).toBe(`/a:/b:${ours}`);
    expect(await kubeconfigIn(shell, home, `${ours}:/b`)).toBe(`${ours}:/b`);
    expect(JSON.parse(readFileSync(ours, 'utf8'))).toMatchObject({ kind: 'Config', contexts: [] });
  });

  it('lets nothing in the name of a folder run', async () => {
    const { home, setup, tool } = homeWith('32', "o'b `touch owned`; (id) & Ä ! # ~");
    expect(await setup(`--write --shell ${shell}`)).toMatchObject({ code: 0 });
    // From a place whose own name is plain, for the test's sake.
    const plain = tempDir();
    const copy = join(plain, START_FILES[shell]);
    mkdirSync(dirname(copy), { recursive: true });
    writeFileSync(copy, readFileSync(join(home, START_FILES[shell])));
    expect(await kubeconfigIn(shell, plain, '/a')).toBe(`/a:${tool('kubeconfig')}`);
  });
});

describe('oncall setup kubectl', () => {
  it.each([
    ['20', 'kubeconfig.v1beta1'],
    ['21+', 'kubeconfig.v1beta1'],
    ['22', 'kubeconfig'],
    ['32', 'kubeconfig'],
    ['x', 'kubeconfig'],
    [undefined, 'kubeconfig'],
  ])('with kubectl 1.%s names %s', async (minor, name) => {
    const { home, setup, tool } = homeWith(minor);
    expect(await setup('--write --shell bash')).toMatchObject({ code: 0 });
    expect(readFileSync(join(home, '.bashrc'), 'utf8')).toContain(`:'${tool(name)}':`);
  });

  it('wants to know the shell, and refuses a path that KUBECONFIG cannot hold', async () => {
    expect(await homeWith().setup('--write')).toMatchObject({ code: 2 });
    expect(await homeWith().setup('--write --shell tcsh')).toMatchObject({ code: 2 });
    expect(await homeWith(undefined, 'a:b').setup('--write --shell bash')).toMatchObject({ code: 1 });
  });
});
