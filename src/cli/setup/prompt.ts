/**
 * The shell's prompt: what is held, until when, in front of the prompt that the person has. The shell reads the row (client/prompt-line.ts)
 * before each prompt with what it has built in, and evaluates nothing of it: whoever wrote that file, what is not of plain characters is left
 * out. The block stands last, where the prompt is what it will be.
 */
import { AppError } from '../../protocol/errors.ts';
import { type Shell, shellOf, startFile } from './shells.ts';
import type { SetupTool } from './tool.ts';

const LINES: Readonly<Record<Shell, (file: string, name: string) => readonly string[]>> = {
  bash: bashLines,
  zsh: zshLines,
  fish: fishLines,
};

export const PROMPT_TOOL: SetupTool = {
  name: 'prompt',
  summary: 'bash, zsh and fish: what you hold, in the prompt',
  place: (where) => ({ file: startFile(where), comment: '#', at: 'end', mode: 0o644 }),
  lines: async (_, where) => {
    const { promptFile, profile } = where.paths;
    return LINES[shellOf(where)](requirePlain(promptFile), functionName(profile));
  },
  usage: 'open a new shell',
};

/** Each installation has its own, none the beginning of another. */
function functionName(profile: string): string {
  return `__oncall_${profile.replaceAll('-', '_')}_prompt`;
}

function requirePlain(path: string): string {
  if (!/[\u0000-\u001f\u007f]/.test(path)) return path;
  throw new AppError('unsafe_file', 'a shell cannot read a path with control characters', {
    hint: 'set ONCALL_HOME to a folder without them',
  });
}

/** In what bash 3.2 and zsh have in common. A row is one of ours or is left out; the first that has not ended counts. */
function posixFunction(file: string, name: string): string[] {
  const quoted = `'${file.replaceAll("'", "'\\''")}'`;
  return [
    `${name}() {`,
    "  local rc=$? now='' end at text LC_ALL=C",
    `  PS1=\${PS1/"\${${name}_shown-}"/}`,
    `  ${name}_shown=''`,
    `  if [ -n "\${EPOCHSECONDS-}" ]; then now=$EPOCHSECONDS`,
    `  elif [ -n "\${BASH_VERSION-}" ]; then printf -v now '%(%s)T' -1 2>/dev/null || now=''; fi`,
    '  case $now in *[!0-9]*) now=;; esac',
    "  while IFS=' ' read -r end at text; do",
    '    case $end in [1-9]*) ;; *) continue ;; esac',
    '    case $end in *[!0-9]*) continue ;; esac',
    '    case $at in *[!0-9:]*) continue ;; esac',
    "    case $text in '' | *[!A-Za-z0-9\\ ._:/-]*) continue ;; esac",
    `    [ "\${#end}" -le 11 ] && [ "\${#text}" -le 64 ] && [ "\${#at}" -eq 5 ] || continue`,
    '    if [ -z "$now" ]; then at="until $at"',
    '    elif [ "$end" -le "$now" ]; then continue',
    '    else at="$(((end - now) / 60))m"; fi',
    `    ${name}_shown="[$text $at] "`,
    '    break',
    `  done 2>/dev/null <${quoted}`,
    `  PS1="$${name}_shown$PS1"`,
    '  return $rc',
    '}',
  ];
}

/** PROMPT_COMMAND is a text, or from bash 5.1 on a list of them; ours comes last, after whatever sets PS1 each time. */
function bashLines(file: string, name: string): string[] {
  return [
    ...posixFunction(file, name),
    `if [[ $- == *i* && "\${PROMPT_COMMAND[*]-}" != *${name}* ]]; then`,
    `  if [[ \${#PROMPT_COMMAND[@]} -gt 1 ]]; then PROMPT_COMMAND+=(${name})`,
    `  else PROMPT_COMMAND+=\${PROMPT_COMMAND:+$'\\n'}${name}; fi`,
    'fi',
  ];
}

function zshLines(file: string, name: string): string[] {
  return [
    'zmodload zsh/datetime 2>/dev/null',
    ...posixFunction(file, name),
    `[[ -o interactive && \${precmd_functions[(I)${name}]} -eq 0 ]] && precmd_functions+=(${name})`,
    'true',
  ];
}

/** fish has no clock of its own: it shows the time of day. */
function fishLines(file: string, name: string): string[] {
  const quoted = `'${file.replace(/[\\']/g, '\\$&')}'`;
  return [
    `function ${name}_row`,
    `  test -r ${quoted}; or return`,
    '  while read -l end at text',
    "    string match -qr '^[1-9][0-9]{9,10}$' -- $end",
    "      and string match -qr '^[0-9:]{5}$' -- $at",
    "      and string match -qr '^[A-Za-z0-9 ._:/-]{1,64}$' -- $text",
    '      or continue',
    '    echo -n "[$text until $at] "',
    '    break',
    `  end <${quoted}`,
    'end',
    `function ${name}_status; return $argv[1]; end`,
    'if status is-interactive; and functions -q fish_prompt',
    `  and not functions fish_prompt | string match -q '*${name}*'`,
    `  functions -e ${name}`,
    `  functions -c fish_prompt ${name}`,
    '  function fish_prompt',
    '    set -l last $status',
    `    ${name}_row`,
    `    ${name}_status $last`,
    `    ${name}`,
    '  end',
    'end',
  ];
}
