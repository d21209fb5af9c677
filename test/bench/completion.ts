// How long each shell takes to offer two thousand names, by its own clock and from within: what a person waits for after Tab.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { resolvePaths } from '../../src/client/paths.ts';
import { makeFolder } from './cleanup.ts';
import { plainEnvironment } from './process-times.ts';
import type { Row, Section } from './report.ts';
import { median } from './statistics.ts';

const NAMES = 2_000;
const ROUNDS = 21;
const LIMIT_MS = 10;
/** All of them begin so, and a twentieth of them goes on so. */
const [ALL, SOME] = ['resource-', 'resource-19'];

interface Shell {
  readonly name: string;
  /** Prints how long each round took, and `offered` with the number of names in the end, for `typed` behind `oncall request`. */
  script(typed: string, folder: string): readonly string[];
}

const SHELLS: readonly Shell[] = [
  { name: 'bash', script: bashScript },
  { name: 'zsh', script: zshScript },
  { name: 'fish', script: fishScript },
];

export function measureCompletion(): Section {
  const home = homeWithNames();
  const env = plainEnvironment({ ONCALL_HOME: home, TERM: 'xterm' });
  const missing: string[] = [];
  const rows = SHELLS.flatMap((shell): Row[] => {
    const [all, some] = [timeShell(shell, ALL, NAMES, home, env), timeShell(shell, SOME, 100, home, env)];
    if (all === undefined || some === undefined) {
      missing.push(`${shell.name} is missing here, or too old to have a clock`);
      return [];
    }
    return [
      {
        name: `${shell.name}, ${NAMES} names`,
        value: all,
        unit: 'ms',
        ratio: { value: all / LIMIT_MS, to: `${LIMIT_MS} ms`, target: 1 },
        note: `${some.toFixed(1)} ms for 100 of them, with descriptions where the shell shows them`,
      },
    ];
  });
  return {
    title: 'completion',
    rows,
    notes: [`medians of ${ROUNDS} rounds, timed within the shell; no process is started`, ...missing],
  };
}

function timeShell(
  { name, script }: Shell,
  typed: string,
  expected: number,
  folder: string,
  env: Record<string, string | undefined>,
): number | undefined {
  const args = script(typed, folder);
  const { stdout, stderr, error } = spawnSync(name, args, {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (error !== undefined) return undefined;
  const offered = /offered (\d+)/.exec(stdout)?.[1];
  if (offered !== String(expected)) throw new Error(`${name} offered ${offered} names:\n${stdout}${stderr}`);
  // fish says how long something took where it says all else.
  const told = [
    ...`${stdout}${stderr}`.matchAll(/(?:took |Executed in +)([0-9.]+)( micros| millis| secs)?/g),
  ];
  const times = told.map(
    ([, number, unit]) => Number(number) * (UNITS[unit?.trim() ?? 'millis'] ?? Number.NaN),
  );
  // The first one loads what it needs.
  return times.length === ROUNDS + 1 ? median(times.slice(1)) : undefined;
}

const UNITS: Readonly<Record<string, number>> = { micros: 0.001, millis: 1, secs: 1000 };

function homeWithNames(): string {
  const home = makeFolder('names');
  const { completeDir } = resolvePaths({ ONCALL_HOME: home }, 'default');
  mkdirSync(completeDir, { recursive: true, mode: 0o700 });
  const rows = Array.from(
    { length: NAMES },
    (_, n) => `${ALL}${String(n).padStart(4, '0')}\tpostgres production, number ${n}\n`,
  );
  writeFileSync(join(completeDir, 'resources'), rows.join(''), { mode: 0o600 });
  return home;
}

/** As readline calls it. */
function bashScript(typed: string): string[] {
  const line = `oncall request ${typed}`;
  return [
    '--norc',
    '-c',
    `. ${quote(resolve('completions/oncall.bash'))}
COMP_LINE=${quote(line)} COMP_POINT=${line.length} COMP_WORDS=(oncall request ${typed}) COMP_CWORD=2
for ((round = 0; round <= ${ROUNDS}; round++)); do
  begin=\${EPOCHREALTIME/[.,]/}
  __oncall oncall ${quote(typed)} request 2>/dev/null
  echo "took $(((\${EPOCHREALTIME/[.,]/} - begin))) micros"
done
echo "offered \${#COMPREPLY[@]}"`,
  ];
}

/** Completion is there on a terminal alone: zsh makes one for another zsh. */
function zshScript(typed: string, folder: string): string[] {
  const rc = join(folder, '.zshrc');
  writeFileSync(
    rc,
    `PS1=''
zmodload zsh/datetime
fpath=(${quote(resolve('completions'))} $fpath)
autoload -Uz compinit && compinit -D -u
timed() {
  local begin=$EPOCHREALTIME
  _oncall
  local took=$(( (EPOCHREALTIME - begin) * 1000 ))
  print "offered $compstate[nmatches]"
  print "took $took millis."
}
compdef timed oncall
quiet() { _main_complete; compstate[list]='' compstate[insert]='' }
zle -C quiet complete-word quiet
bindkey '^I' quiet
bindkey '^U' kill-whole-line
print rea''dy
`,
  );
  const driver = `zmodload zsh/zpty
export ZDOTDIR=${quote(folder)}
zpty shell zsh -d -i
zpty -r shell seen '*ready*'
for round in {0..${ROUNDS}}; do
  zpty -n -w shell $'\\C-uoncall request ${typed}\\t'
  zpty -r shell seen '*took*millis.*'
  print -r -- \${(M)\${(f)seen}:#*took*}
done
print -r -- \${(M)\${(f)seen}:#*offered*}
zpty -d shell`;
  return ['-f', '-c', driver];
}

function fishScript(typed: string): string[] {
  return [
    '--no-config',
    '-c',
    `source ${quote(resolve('completions/oncall.fish'))}
for round in (seq 0 ${ROUNDS})
    time complete -C 'oncall request ${typed}' >/dev/null
end
echo offered (complete -C 'oncall request ${typed}' | count)`,
  ];
}

function quote(path: string): string {
  return `'${path.replaceAll("'", "'\\''")}'`;
}
