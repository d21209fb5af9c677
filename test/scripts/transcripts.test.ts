import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli } from '../support/process.ts';
import { tempDir } from '../support/temp.ts';
import { matchesTranscript, parseTranscript } from './transcript.ts';

const FOLDER = join('test', 'scripts');

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.txt'))) {
  describe(file, () => {
    const home = tempDir();
    for (const step of parseTranscript(readFileSync(join(FOLDER, file), 'utf8'))) {
      it(`${step.title} (line ${step.line})`, async () => {
        const { code, stdout, stderr } = await runCli(step.args, { home, env: step.env, cwd: home });
        const streams = { stdout, stderr };
        for (const name of ['stdout', 'stderr'] as const) {
          if (!matchesTranscript(streams[name], step[name])) expect(lines(streams[name])).toEqual(step[name]);
        }
        expect(code).toBe(step.code);
      });
    }
  });
}

describe('the transcript runner', () => {
  it('refuses output that differs, is missing or is more than expected', () => {
    expect(matchesTranscript('a\nb\n', ['a', 'b'])).toBe(true);
    expect(matchesTranscript('a\nB\n', ['a', 'b'])).toBe(false);
    expect(matchesTranscript('a\n', ['a', 'b'])).toBe(false);
    expect(matchesTranscript('a\nb\n', ['a'])).toBe(false);
    expect(matchesTranscript('a', ['a'])).toBe(false);
    expect(matchesTranscript('', [])).toBe(true);
  });

  it('takes nothing in a line for a pattern but the placeholders', () => {
    expect(matchesTranscript('a.b (c)\n', ['a.b (c)'])).toBe(true);
    expect(matchesTranscript('aXb (c)\n', ['a.b (c)'])).toBe(false);
    expect(matchesTranscript('gr_01abcdefghjkmnpqrst 04:14\n', ['<id> <time>'])).toBe(true);
    expect(matchesTranscript('first\nx\ny\nlast\n', ['first', '...', 'last'])).toBe(true);
  });
});

function lines(text: string): string[] {
  return text.split('\n').slice(0, -1);
}
