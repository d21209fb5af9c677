/**
 * The system keychain, through a child process with a time limit (see keychain-child.ts). All of the binding's errors carry
 * one code, so they are told apart by their words.
 */
import { spawn } from 'node:child_process';
import { AppError } from '../protocol/errors.ts';
import type { ClientContext } from './context.ts';
import { parseDeviceRecord } from './device-record.ts';
import type { Keystore } from './keystore.ts';

const SERVICE = 'oncall';
const LIMIT_MS = 10_000;
/** Somebody may be looking at an unlock prompt. */
const LIMIT_WITH_PERSON_MS = 60_000;

export function createKeychainKeystore(
  context: ClientContext,
  limitMs = context.interactive ? LIMIT_WITH_PERSON_MS : LIMIT_MS,
): Keystore {
  // One thumbprint in 64 begins with a dash, which the system's own tools would take for an option.
  const ask = (op: 'get' | 'set' | 'delete', keyId: string, secret?: string) =>
    askChild(context, { op, service: SERVICE, account: `device:${keyId}`, secret }, limitMs);
  return {
    kind: 'keychain',
    async load(keyId) {
      const secret = await ask('get', keyId);
      if (secret !== null) return parseDeviceRecord(secret);
      throw new AppError('not_enrolled', 'the keychain does not hold the keys of this device', {
        hint: 'enrol again: oncall enroll <invitation>',
      });
    },
    async save(keyId, record) {
      await ask('set', keyId, JSON.stringify(record));
    },
    async remove(keyId) {
      await ask('delete', keyId);
    },
  };
}

async function askChild(context: ClientContext, question: object, limitMs: number): Promise<string | null> {
  const reply = await runChild(context, JSON.stringify(question), limitMs);
  if (typeof reply === 'object' && reply !== null) {
    if ('error' in reply) throw keychainError(String(reply.error));
    if ('secret' in reply && (reply.secret === null || typeof reply.secret === 'string')) return reply.secret;
  }
  throw new AppError('keychain_unavailable', 'the keychain gave no answer', { hint: HINT_UNAVAILABLE });
}

const HINT_UNLOCK = 'unlock your keychain, then try again';
const HINT_UNAVAILABLE = 'on a host without a keychain: oncall enroll --keystore file <invitation>';

/** What the binding's words mean. Exported for the tests that hold it to the words of real keychains. */
export function keychainError(message: string): AppError {
  // Secret Service: a dismissed prompt, IsLocked. macOS: errSecInteractionNotAllowed, errSecAuthFailed, a cancelled dialogue.
  if (
    /locked|prompt was dismissed|interaction is not allowed|user canceled|-25308|-25293|-128\b/i.test(message)
  ) {
    return new AppError('keychain_locked', 'the keychain is locked', { hint: HINT_UNLOCK, cause: message });
  }
  return new AppError('keychain_unavailable', 'no keychain can be reached', {
    hint: HINT_UNAVAILABLE,
    cause: message,
  });
}

function runChild(context: ClientContext, question: string, limitMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    // NODE_OPTIONS may carry a debugger or a loader, which has no business beside the keys.
    const { NODE_OPTIONS: _, ...env } = context.env;
    const [command = '', ...args] = context.keychainChild;
    const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'ignore'] });
    let timedOut = false;
    let output = '';
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, limitMs);
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(
        new AppError('keychain_unavailable', 'the keychain process did not start', {
          hint: 'type it again; on a host without a keychain: oncall enroll INVITATION --keystore file',
          cause,
        }),
      );
    });
    child.on('close', () => {
      clearTimeout(timer);
      if (!timedOut) return resolve(parseReply(output));
      reject(
        new AppError('keychain_locked', `the keychain did not answer within ${Math.ceil(limitMs / 1000)} s`, {
          hint: 'it may be waiting for you to unlock it: do so, then try again',
        }),
      );
    });
    // A child that dies before it reads closes the pipe: what it said, or did not say, is judged above.
    child.stdin.on('error', () => {});
    child.stdin.end(question);
  });
}

function parseReply(output: string): unknown {
  try {
    return JSON.parse(output);
  } catch {
    return undefined;
  }
}
