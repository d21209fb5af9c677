/**
 * Signing with a key that an SSH agent holds (draft-ietf-sshm-ssh-agent): hardware behind the agent (Secretive, a TPM, a
 * smart card) keeps the key, we only see signatures. Ed25519 and P-256. The agent may ask for a touch: it gets a minute.
 */
import { createConnection } from 'node:net';
import { AppError, isAppError } from '../protocol/errors.ts';
import type { SigningAlgorithm } from '../protocol/keys.ts';
import {
  ECDSA_P256,
  ED25519,
  parseSshPublicKey,
  parseSshPublicKeyBlob,
  SshReader,
  sshString,
  sshUint32,
} from '../protocol/ssh-wire.ts';
import type { Environment } from './paths.ts';

const [REQUEST_IDENTITIES, IDENTITIES_ANSWER, SIGN_REQUEST, SIGN_RESPONSE] = [11, 12, 13, 14];
const MAX_REPLY_BYTES = 256 * 1024;
const LIMIT_MS = 60_000;

export interface AgentKey {
  /** `ssh-ed25519 AAAA…` or `ecdsa-sha2-nistp256 AAAA…`, without the comment: what the configuration names. */
  readonly line: string;
  readonly comment: string;
}

/** The agent's keys that can sign for us. Throws AppError `keychain_unavailable` where no agent answers in time. */
export async function listAgentKeys(env: Environment, limitMs = LIMIT_MS): Promise<AgentKey[]> {
  const reply = await ask(env, IDENTITIES_ANSWER, Buffer.of(REQUEST_IDENTITIES), limitMs);
  if (reply === undefined) return [];
  return readReply(reply, (reader) => {
    const keys: AgentKey[] = [];
    for (let left = reader.uint32(); left > 0; left--) {
      const blob = reader.string();
      const comment = reader.string().toString('utf8');
      const type = usableType(blob);
      if (type !== undefined) keys.push({ line: `${type} ${blob.toString('base64')}`, comment });
    }
    return keys;
  });
}

/**
 * A raw signature (64 bytes; P-256 as r and s, 32 bytes each) of `message` by the agent's key of that public key line.
 * Throws AppError `keychain_locked` where the agent does not hold the key or refuses, `keychain_unavailable` without agent.
 */
export async function signWithAgent(
  env: Environment,
  line: string,
  message: Uint8Array,
): Promise<Uint8Array> {
  const { blob, type } = parseSshPublicKey(line);
  const question = Buffer.concat([
    Buffer.of(SIGN_REQUEST),
    sshString(blob),
    sshString(message),
    sshUint32(0),
  ]);
  const reply = await ask(env, SIGN_RESPONSE, question);
  if (reply === undefined) {
    throw new AppError('keychain_locked', 'the ssh-agent does not sign with the key of this device', {
      hint: 'unlock the agent or add the key: ssh-add',
    });
  }
  return readReply(reply, (outer) => {
    const reader = new SshReader(outer.string());
    const algorithm = reader.text();
    if (algorithm !== type)
      throw new AppError('keychain_unavailable', 'the ssh-agent signed with another algorithm', {
        hint: 'ssh-add -L lists what it holds',
      });
    const signature = reader.string();
    reader.end();
    return type === ED25519 ? signature : p1363(signature);
  });
}

/** RFC 9421's name of what the key of a public key line signs with. */
export function algOfLine(line: string): SigningAlgorithm {
  return parseSshPublicKey(line).type === ECDSA_P256 ? 'ecdsa-p256-sha256' : 'ed25519';
}

/** RFC 5656 section 3.1.2: two mpints, to the fixed-width form of RFC 9421 section 3.3.4. */
function p1363(signature: Uint8Array): Buffer {
  const reader = new SshReader(signature);
  const halves = [reader.mpint(), reader.mpint()].map((half) => {
    if (half.length > 32)
      throw new AppError('keychain_unavailable', 'the ssh-agent sent a malformed signature', {
        hint: 'ssh-add -L lists what it holds; restart the agent',
      });
    return Buffer.concat([Buffer.alloc(32 - half.length), half]);
  });
  reader.end();
  return Buffer.concat(halves);
}

function usableType(blob: Uint8Array): string | undefined {
  try {
    return parseSshPublicKeyBlob(blob).type;
  } catch (error) {
    if (isAppError(error)) return undefined;
    throw error;
  }
}

/**
 * The rest of an answer of the wanted type, undefined for the agent's FAILURE. Throws AppError `keychain_unavailable` where no agent
 * answers in time.
 */
export function ask(
  env: Environment,
  wanted: number,
  question: Buffer,
  limitMs = LIMIT_MS,
): Promise<Buffer | undefined> {
  const path = env.SSH_AUTH_SOCK;
  if (!path) throw unavailable('SSH_AUTH_SOCK is not set');
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    let received = Buffer.alloc(0);
    const end = (settle: () => void) => {
      socket.destroy();
      settle();
    };
    socket.setTimeout(limitMs, () => end(() => reject(unavailable('it did not answer in time'))));
    socket.on('error', (cause) => end(() => reject(unavailable('it cannot be reached', cause))));
    socket.on('close', () => reject(unavailable('it hung up')));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 5) return;
      const length = received.readUInt32BE();
      if (length < 1 || length > MAX_REPLY_BYTES) return end(() => reject(unavailable('it sent nonsense')));
      if (received.length < 4 + length) return;
      const isWanted = received[4] === wanted;
      end(() => resolve(isWanted ? received.subarray(5, 4 + length) : undefined));
    });
    socket.write(Buffer.concat([sshUint32(question.length), question]));
  });
}

function readReply<T>(reply: Buffer, read: (reader: SshReader) => T): T {
  const reader = new SshReader(reply);
  try {
    const value = read(reader);
    reader.end();
    return value;
  } catch (cause) {
    throw isAppError(cause, 'keychain_unavailable') ? cause : unavailable('it sent nonsense', cause);
  }
}

function unavailable(what: string, cause?: unknown): AppError {
  return new AppError('keychain_unavailable', `no ssh-agent: ${what}`, {
    hint: 'start one and add the key: eval "$(ssh-agent)"; ssh-add',
    cause,
  });
}
