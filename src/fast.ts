/**
 * What is asked all the time, by prompts, scripts and shells that start: `--version`, plain `status`, `status --check` and `completion`. Built into one small file of its own,
 * which bin/oncall asks first. It answers or says who does, and fails at nothing: for whatever it does not know or cannot do,
 * main.ts starts from the beginning, and says what is wrong.
 */
import { join } from 'node:path';
import { readAgentArguments } from './agent/arguments.ts';
import { readPlainStatus } from './cli/common-options.ts';
import { isCompletionShell, readCompletionScript } from './cli/completion-script.ts';
import { reportFailure } from './cli/failure.ts';
import { processIo } from './cli/io.ts';
import { printCheck, printStatus } from './cli/plain-status.ts';
import { version } from './protocol/version.ts';

/** The built file that goes on; undefined where everything has been said. Nothing is written before it is certain that it will be. */
export async function answer(argv: readonly string[]): Promise<'agent.js' | 'main.js' | undefined> {
  // It lives long: neither the parser nor what commands need shall stay with it.
  if (readAgentArguments(argv) !== undefined) return 'agent.js';
  const io = processIo();
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
    io.stdout.write(`${version}\n`);
    return undefined;
  }
  try {
    const [word, shell = '', ...more] = argv;
    if (word === 'completion' && more.length === 0 && isCompletionShell(shell)) {
      io.stdout.write(readCompletionScript(join(__dirname, '..', 'completions'), shell));
      return undefined;
    }
    const plain = readPlainStatus(argv);
    if (plain === undefined) return 'main.js';
    const input = { io, env: process.env, now: Date.now(), ...plain };
    if (plain.check === undefined) await printStatus(input);
    else {
      const failure = await printCheck(input, plain.check);
      if (failure !== undefined) process.exitCode = await reportFailure(failure, input);
    }
    return undefined;
  } catch {
    return 'main.js';
  }
}
