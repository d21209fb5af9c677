/**
 * The entry for all that fast.ts has not answered: build the context, parse, run, one catch → words → exit code. Nothing heavy
 * is imported here, and each command's file is loaded only when it was asked for.
 */
import { join } from 'node:path';
import { type CommonOptions, formatOf } from './cli/common-options.ts';
import { type OutputFormat, processIo, writeText } from './cli/io.ts';
import { version } from './protocol/version.ts';

const io = processIo();
/** V8's own settings for what lives long and computes little: a quarter less memory, which is what people notice of an agent. */
const SMALL = ['--lite-mode', '--max-semi-space-size=1'];

async function main(argv: readonly string[]): Promise<void> {
  const { parseCommandLine } = await import('./cli/program.ts');
  const parsed = await parseCommandLine(argv);
  if (parsed.kind === 'version') return io.stdout.write(`${version}\n`);
  if (parsed.kind === 'help') return writeText(io.stdout, parsed.text);
  await runInterruptibly(parsed.common, (context) => parsed.run(context));
}

type Run = (context: import('./cli/context.ts').Context) => Promise<void>;

async function runInterruptibly(common: CommonOptions, run: Run): Promise<void> {
  const { createContext } = await import('./cli/create-context.ts');
  const { Signals } = await import('./cli/signals.ts');
  const signals = new Signals(process);
  io.interrupted = signals.aborted;
  const context = createContext({
    io,
    env: process.env,
    now: Date.now,
    signals,
    keychainChild: [process.execPath, join(__dirname, 'keychain-child.js')],
    agentProgram: [process.execPath, ...SMALL, join(__dirname, 'agent.js')],
    completionsDir: join(__dirname, '..', 'completions'),
    exitWith: (code) => {
      process.exitCode = code;
    },
    ...common,
  });
  try {
    await Promise.race([run(context), aborted(signals.aborted)]);
  } finally {
    await context.close();
  }
}

/** How long a command has, after a signal, to say what became of its work. */
const LAST_WORDS_MS = 100;

/** Rejects a moment after the signal's abortion: no command can hold up Ctrl-C. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => setTimeout(() => reject(signal.reason), LAST_WORDS_MS));
  });
}

async function fail(error: unknown, format: OutputFormat): Promise<void> {
  const { reportFailure, isInterruption } = await import('./cli/failure.ts');
  process.exitCode = await reportFailure(error, { io, format, env: process.env, now: Date.now() });
  // What was interrupted may still hold a connection or a timer; files are replaced in one step, so this is always safe.
  if (isInterruption(error)) process.stderr.write('', () => process.exit());
}

const argv = process.argv.slice(2);
main(argv).catch((error: unknown) => fail(error, formatOf(argv)));
