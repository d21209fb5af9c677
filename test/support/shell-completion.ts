// What Tab offers in the real shells: bash by readline and zsh by zle, on a terminal of their own; fish by its own question for it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cleanEnvironment, type Environment, startProcess } from './process.ts';
import { runTty } from './pty.ts';
import { tempDir } from './temp.ts';

export const COMPLETED_SHELLS = ['bash', 'zsh', 'fish'] as const;
export type CompletedShell = (typeof COMPLETED_SHELLS)[number];

export interface Offered {
  /** The words that would stand there, whole, in their order. */
  readonly words: readonly string[];
  /** What is shown with each, where the shell shows anything; bash doesn't. */
  readonly shown: readonly string[];
}

export interface CompletionOptions {
  /** Over a clean environment; undefined takes a variable away. */
  readonly env?: Environment;
  readonly cwd?: string;
  /** Said to the shell before it is asked. */
  readonly before?: string;
}

/**
 * What is offered at the end of each line. No program can be found, so a shell that starts one says so: `said` is all that it said
 * beside the lines themselves.
 */
export async function completeIn(
  shell: CompletedShell,
  lines: readonly string[],
  options: CompletionOptions = {},
): Promise<{ offered: Offered[]; said: string }> {
  const folder = tempDir();
  const out = join(folder, 'offered');
  writeFileSync(out, '');
  const env = { ...cleanEnvironment(), ...options.env };
  const asked = { lines, env, folder, out, before: options.before ?? '', cwd: options.cwd ?? folder };
  const said = shell === 'fish' ? await askFish(asked) : await askOnTerminal(shell, asked);
  const blocks = readFileSync(out, 'utf8').split('\0').slice(1);
  if (blocks.length !== lines.length)
    throw new Error(`${shell} answered ${blocks.length} of ${lines.length} lines:\n${said}`);
  const offered = blocks.map((block, index) => {
    const rows = block.split('\n').filter((row) => row !== '');
    const words = rows.map((row) => row.split('\t')[0] ?? '');
    // bash is told only what stands behind the last : = or @.
    const head = shell === 'bash' ? (/[^ ]*[:=@](?=[^:=@ ]*$)/.exec(lines[index] ?? '')?.[0] ?? '') : '';
    return { words: words.map((word) => head + word), shown: rows.map((row) => row.split('\t')[1] ?? '') };
  });
  return { offered, said };
}

interface Asked {
  readonly lines: readonly string[];
  readonly env: Environment;
  readonly folder: string;
  /** For each line, a NUL and what was offered. */
  readonly out: string;
  readonly before: string;
  readonly cwd: string;
}

async function askFish({ lines, env, out, before, cwd }: Asked): Promise<string> {
  const script = [
    `source ${quote(resolve('completions/oncall.fish'))}`,
    'set PATH /nowhere',
    before,
    ...lines.flatMap((line) => [
      `printf '\\0' >>${quote(out)}`,
      `complete -C '${line.replace(/[\\']/g, '\\$&')}' >>${quote(out)}`,
    ]),
  ];
  const child = startProcess('/usr/bin/fish', ['--no-config', '-c', script.join('\n')], {
    env,
    cwd,
    input: '',
  });
  await child.ended;
  return child.output();
}

/** The rest of a start-up file: the completion function, with what it gives written down and taken away. */
const BASH_CAPTURE = `
capture() {
  __oncall "$@"
  { printf '\\0'; [ \${#COMPREPLY[@]} -eq 0 ] || printf '%s\\n' "\${COMPREPLY[@]}"; } >>"$OUT"
  COMPREPLY=()
  printf 'answered-%d.' $((++answers))
}
complete -F capture oncall
bind 'set enable-bracketed-paste off'
PS1='ready-%'
PATH=/nowhere
`;
const ZSH_CAPTURE = `
autoload -Uz compinit && compinit -D -u
compadd() {
  if [[ \${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return; fi
  local -a hits texts
  local -A given
  zparseopts -E -A given d:
  [[ -z \${given[-d]-} ]] || texts=( "\${(@P)given[-d]}" )
  builtin compadd -O hits -D texts "$@"
  local i
  for (( i = 1; i <= $#hits; i++ )); do print -r -- "$IPREFIX$hits[i]"$'\\t'"\${texts[i]-}"; done >>"$OUT"
  builtin compadd "$@"
}
capture() {
  print -n '\\0' >>"$OUT"
  _main_complete
  compstate[list]='' compstate[insert]=''
  print -n "answered-$((++answers))."
}
zle -C capture complete-word capture
bindkey '^I' capture
bindkey '^U' kill-whole-line
unsetopt zle_bracketed_paste 2>/dev/null
zle_bracketed_paste=()
PS1='ready-%%'
PATH=/nowhere
`;

async function askOnTerminal(shell: 'bash' | 'zsh', asked: Asked): Promise<string> {
  const { lines, env, folder, out, before, cwd } = asked;
  const load =
    shell === 'bash'
      ? `. ${quote(resolve('completions/oncall.bash'))}\n${BASH_CAPTURE}`
      : `fpath=(${quote(resolve('completions'))} $fpath)\n${ZSH_CAPTURE}`;
  const rc = join(folder, shell === 'bash' ? 'bashrc' : '.zshrc');
  writeFileSync(rc, `OUT=${quote(out)}\nanswers=0\n${load}\n${before}\n`);
  const { text } = await runTty(shell === 'bash' ? ['bash', '--rcfile', rc, '-i'] : ['zsh', '-d', '-i'], {
    env: { ...env, SHELL: '/bin/sh', ZDOTDIR: folder },
    cwd,
    columns: 400,
    keys: [
      ...lines.map((line, index) => ({
        when: index === 0 ? 'ready-%' : `answered-${index}.`,
        type: `\x15${line}\t`,
      })),
      { when: `answered-${lines.length}.`, type: '\x15exit\r' },
    ],
  });
  return text;
}

function quote(path: string): string {
  return `'${path.replaceAll("'", "'\\''")}'`;
}
