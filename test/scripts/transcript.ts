// Transcripts: what is typed, and what must come back. One file is one home folder, its commands run in order.
//
//   # a comment; the ones right above a command name it
//   $ NO_COLOR=1 oncall status --json      words as a shell would split them (quotes, no expansion)
//   ? 4                                    the exit code; 0 where there is no such line
//   > {                                    stdout, line by line
//   ! oncall: error: …                     stderr, line by line
//
// In expected lines `<id>` is any id, `<time>` any time of day or instant, `<any>` anything; a line `...` is any number of
// lines. A stream without lines must be empty.

export interface TranscriptStep {
  readonly title: string;
  readonly line: number;
  readonly env: Readonly<Record<string, string>>;
  readonly args: readonly string[];
  code: number;
  readonly stdout: string[];
  readonly stderr: string[];
}

export function parseTranscript(text: string): TranscriptStep[] {
  const steps: TranscriptStep[] = [];
  let comments: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const [mark, rest] = [line.slice(0, 1), line.slice(2)];
    const step = steps.at(-1);
    if (line === '') comments = [];
    else if (mark === '#') comments.push(rest);
    else if (mark === '$') steps.push(parseCommand(rest, comments.join(' ') || rest, index + 1));
    else if (step === undefined || !['?', '>', '!'].includes(mark))
      throw new Error(`line ${index + 1}: ${line}`);
    else if (mark === '?') step.code = Number(rest);
    else step[mark === '>' ? 'stdout' : 'stderr'].push(rest);
  }
  return steps;
}

function parseCommand(text: string, title: string, line: number): TranscriptStep {
  const words = [...text.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replace(/['"]/g, ''),
  );
  const at = words.indexOf('oncall');
  if (at < 0) throw new Error(`line ${line}: not a command of ours: ${text}`);
  const env = Object.fromEntries(words.slice(0, at).map((word) => word.split(/=(.*)/s).slice(0, 2)));
  return { title, line, env, args: words.slice(at + 1), code: 0, stdout: [], stderr: [] };
}

const PLACEHOLDERS: Readonly<Record<string, string>> = {
  '<id>': '[a-z]+_[0-9a-z]{19}',
  '<time>': '(?:\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z|(?:\\d{4}-\\d\\d-\\d\\d )?\\d\\d:\\d\\d)',
  '<any>': '.*',
};

/** Whether the text is what the expected lines say. */
export function matchesTranscript(text: string, expected: readonly string[]): boolean {
  const pattern = expected
    .map((line) => (line === '...' ? '(?:.*\\n)*?' : `${linePattern(line)}\\n`))
    .join('');
  return new RegExp(`^${pattern}$`).test(text);
}

function linePattern(line: string): string {
  return line
    .split(/(<\w+>)/)
    .map((part) => PLACEHOLDERS[part] ?? part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    .join('');
}
