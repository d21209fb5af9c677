/**
 * Certificates in the person's own ssh-agent, for tools that look nowhere else (draft-ietf-sshm-ssh-agent, sections 3.2 and 3.4). Each
 * has a lifetime there, so the agent forgets it even if we never come back; what is let go or renewed is taken out at once. Which are
 * there stands in a file, without secrets: that it exists is what says that they shall be.
 */
import { isAppError } from '../protocol/errors.ts';
import { readOpenSshPrivateKey } from '../protocol/ssh-key.ts';
import { splitSshLine, sshString, sshUint32 } from '../protocol/ssh-wire.ts';
import type { ClientContext } from './context.ts';
import type { HeldCredential } from './credentials.ts';
import { removePath } from './files.ts';
import { secondsLeft } from './hold.ts';
import { ask } from './keystore-ssh-agent.ts';
import { listSessionGrants } from './session-files.ts';
import { agentRecord, readRecord } from './tool-files.ts';
import { writeFiles } from './write-files.ts';

const [SUCCESS, REMOVE_IDENTITY, ADD_ID_CONSTRAINED, CONSTRAIN_LIFETIME] = [6, 18, 25, 1];
/** Nobody waits longer for access because of an agent that hangs. */
const LIMIT_MS = 5_000;

/** Begins or ends it. What is in the agent is taken out at its end. The caller holds `paths.holdLock`. */
export async function loadIntoAgent(context: ClientContext, wanted: boolean): Promise<void> {
  const { paths } = context;
  const loaded = readLoaded(context);
  if (wanted === (loaded !== undefined)) return;
  if (wanted) return writeLoaded(context, {});
  for (const line of Object.values(loaded ?? {})) await removeFromAgent(context, line);
  removePath(agentRecord(paths));
}

/** Brings the agent in step: these credentials go in, what is held no more goes out. The caller holds `paths.holdLock`. */
export async function followInAgent(
  context: ClientContext,
  credentials: readonly HeldCredential[],
): Promise<void> {
  // In a script there is none, and none is missed.
  if (!context.env.SSH_AUTH_SOCK) return;
  const loaded = readLoaded(context) ?? {};
  const after: Record<string, string> = {};
  const held = new Set(listSessionGrants(context.paths));
  for (const [grantId, line] of Object.entries(loaded)) {
    const renewed = credentials.find((credential) => credential.grantId === grantId);
    const isGone = !held.has(grantId) || (renewed !== undefined && certificateOf(renewed) !== line);
    if (isGone) await removeFromAgent(context, line);
    else after[grantId] = line;
  }
  try {
    for (const credential of credentials) {
      const line = certificateOf(credential);
      if (line !== undefined && (await addToAgent(context, credential, line)))
        after[credential.grantId] = line;
    }
  } finally {
    if (JSON.stringify(after) !== JSON.stringify(loaded)) await writeLoaded(context, after);
  }
}

function certificateOf({ publicPart }: HeldCredential): string | undefined {
  return publicPart.kind === 'ssh' ? publicPart.certificate.trim() : undefined;
}

/** Whether it is in. What the agent refuses, or nobody answers to, is warned of. */
async function addToAgent(
  { env, warn, now }: ClientContext,
  credential: HeldCredential,
  line: string,
): Promise<boolean> {
  const { secret, target } = credential;
  const lifetimeSeconds = Math.floor(secondsLeft(credential, now()));
  if (secret.kind !== 'ssh' || lifetimeSeconds < 1) return false;
  const { type, blob } = splitSshLine(line);
  const { publicKey, privateKey } = readOpenSshPrivateKey(secret.privateKey);
  const question = Buffer.concat([
    Buffer.of(ADD_ID_CONSTRAINED),
    ...[type, blob, publicKey, privateKey, `oncall ${target.resource}:${target.role}`].map(sshString),
    Buffer.of(CONSTRAIN_LIFETIME),
    sshUint32(lifetimeSeconds),
  ]);
  try {
    if ((await ask(env, SUCCESS, question, LIMIT_MS)) !== undefined) return true;
    warn('the ssh-agent does not take the key');
  } catch (error) {
    if (!isAppError(error)) throw error;
    warn(error.message);
  }
  return false;
}

/** One that is not there, or an agent that is another by now, is fine: a lifetime ends it in any case. */
async function removeFromAgent({ env }: ClientContext, line: string): Promise<void> {
  const { blob } = splitSshLine(line);
  const question = Buffer.concat([Buffer.of(REMOVE_IDENTITY), sshString(blob)]);
  await ask(env, SUCCESS, question, LIMIT_MS).catch((error: unknown) => {
    if (!isAppError(error)) throw error;
  });
}

/** By grant, the certificate's line. Undefined where none shall be in the agent. */
function readLoaded({ paths }: ClientContext): Record<string, string> | undefined {
  return readRecord<Record<string, string>>(agentRecord(paths));
}

async function writeLoaded({ paths }: ClientContext, loaded: Record<string, string>): Promise<void> {
  await writeFiles([{ path: agentRecord(paths), data: `${JSON.stringify(loaded)}\n` }]);
}
