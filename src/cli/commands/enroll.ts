import { hostname } from 'node:os';
import { type EnrollInput, type EnrollResult, enroll, refuseSecond } from '../../client/enroll.ts';
import { parseInvitation } from '../../client/invitation.ts';
import { readHostFacts, recommendKeystore } from '../../client/keystore.ts';
import { AppError, isAppError } from '../../protocol/errors.ts';
import type { KeystoreKind } from '../../protocol/messages.ts';
import { choiceHint } from '../choice-hint.ts';
import { defineCommand, flagOption, textOption } from '../command.ts';
import type { Context } from '../context.ts';
import { type Io, note, writeHint, writeResult } from '../io.ts';
import { newPassphrase } from '../new-passphrase.ts';
import { askText, canAsk, chooseOne } from '../prompt.ts';
import { propertyLines } from '../table.ts';
import { withSpinner } from '../waiting.ts';

const KEYSTORES = ['keychain', 'ssh-agent', 'file'] as const;
const CACHES = ['keychain', 'file'] as const;
/** DeviceView and the schema allow no longer one. */
const LONGEST_NAME = 64;

export interface EnrollOptions {
  /** Undefined: asked for. */
  readonly invitation: string | undefined;
  readonly name: string | undefined;
  /** Undefined: the keychain, where there is one. */
  readonly keystore: KeystoreKind | undefined;
  /** Part of the public key line or the comment of the agent's key to use. */
  readonly agentKey: string | undefined;
  readonly cache: (typeof CACHES)[number] | undefined;
  readonly passphrase: boolean;
  readonly ca: string;
}

/** Of `oncall enroll <invitation>`. */
export const ENROLL_DEFAULTS: Omit<EnrollOptions, 'invitation'> = {
  name: undefined,
  keystore: undefined,
  agentKey: undefined,
  cache: undefined,
  passphrase: false,
  ca: 'pinned',
};

export const enrollCommand = defineCommand<EnrollOptions>({
  json: ['enroll'],
  examples: [
    [
      "oncall enroll 'https://broker.example.com:7443/#CODE'",
      'register this device; keys go into the keychain',
    ],
    [
      "oncall enroll 'https://broker.example.com:7443/#CODE' --keystore file --name ci-1",
      'a host without a keychain',
    ],
  ],
  declare: (command) =>
    void command
      .argument('[url]', 'your invitation: https://broker:7443/#CODE, in quotes')
      .option('--name <name>', 'a name for this device (its host name)')
      .option('--keystore <kind>', `where its keys rest: ${KEYSTORES.join(', ')} (keychain)`)
      .option('--agent-key <text>', 'with ssh-agent: which key, by part of its line or comment')
      .option('--cache <kind>', 'with ssh-agent: where the keys go that an agent cannot hold: keychain, file')
      .option('--passphrase', 'with file: protect the keys with one (asked for, or ONCALL_PASSPHRASE_FILE)')
      .option('--ca <ca>', 'pinned, system or a PEM file (pinned)'),
  completes: {
    '--keystore': { words: KEYSTORES },
    '--cache': { words: CACHES },
    '--ca': { words: ['pinned', 'system'], paths: 'files' },
  },
  read: (typed) => ({
    invitation: typed.args[0],
    name: textOption(typed, 'name'),
    keystore: oneOf(textOption(typed, 'keystore'), KEYSTORES, '--keystore'),
    agentKey: textOption(typed, 'agentKey'),
    cache: oneOf(textOption(typed, 'cache'), CACHES, '--cache'),
    passphrase: flagOption(typed, 'passphrase'),
    ca: textOption(typed, 'ca') ?? ENROLL_DEFAULTS.ca,
  }),
  run: runEnroll,
});

/** Asks for nothing that is said, or can be found out: on a usual laptop, nothing but the invitation. */
export async function runEnroll(context: Context, options: EnrollOptions): Promise<void> {
  const clientContext = await context.clientContext();
  // Before anybody is asked anything.
  await refuseSecond(clientContext.paths);
  const invitation = options.invitation ?? (await askInvitation(context.io, 'your invitation'));
  if (invitation === undefined) {
    throw new AppError('usage', 'the invitation is missing', {
      hint: 'oncall enroll "https://broker:7443/#CODE"',
    });
  }
  parseInvitation(invitation);
  const { keystore, passphrase } = await chooseKeystore(context, options);
  const input: EnrollInput = {
    invitation,
    deviceName: (options.name ?? hostname()).slice(0, LONGEST_NAME),
    keystore,
    ca: await absoluteCa(options.ca),
    ...(keystore === 'ssh-agent' && { sshAgentKey: await chooseAgentKey(context, options.agentKey) }),
    ...(keystore === 'ssh-agent' && options.cache !== undefined && { secondKeystore: options.cache }),
    ...(passphrase && { newPassphrase: await newPassphrase(context) }),
  };
  const result = await withSpinner(context.io, 'enrolling this device', enroll(clientContext, input));
  await writeEnrolled(context, result);
}

/** An invitation that is whole. Undefined where nobody can be asked, and with `orNone` for Enter alone. */
export async function askInvitation(
  io: Io,
  question: string,
  { orNone = false }: { orNone?: boolean } = {},
): Promise<string | undefined> {
  if (!canAsk(io)) return undefined;
  const answer = await askText(io, question, (text) => {
    if (orNone && text.trim() === '') return true;
    try {
      parseInvitation(invitationIn(text));
      return true;
    } catch (error) {
      if (isAppError(error)) return 'not an invitation: https://broker:7443/#CODE, all of it';
      throw error;
    }
  });
  return answer.trim() === '' ? undefined : invitationIn(answer);
}

/** People paste the whole line that they were sent. */
function invitationIn(text: string): string {
  return /https?:\/\/[^\s"'<>]+/.exec(text)?.[0] ?? text;
}

async function writeEnrolled(
  context: Context,
  { config, device, cachesAtRest }: EnrollResult,
): Promise<void> {
  const { user, broker } = config;
  await writeResult(context.io, context.format, {
    command: 'enroll',
    data: { user, broker, device, cachesAtRest },
    lines: () => [
      [{ text: 'enrolled', style: 'green' }, ` ${device.name} as ${user}`],
      ...propertyLines([
        ['device', device.id],
        ['broker', broker],
        ['keystore', device.keystore],
      ]),
    ],
  });
  if (!cachesAtRest) {
    await note(
      context.io,
      'nothing is cached on this machine: each command fetches its credential, break-glass packs are unavailable',
    );
  }
  if (context.format === 'table') await writeHint(context.io, 'oncall resources lists what you can ask for');
}

interface ChosenKeystore {
  readonly keystore: KeystoreKind;
  readonly passphrase: boolean;
}

/** The keychain, unless this host has none: keys on disk are chosen by whoever they are of. */
async function chooseKeystore({ env, io }: Context, options: EnrollOptions): Promise<ChosenKeystore> {
  const { passphrase } = options;
  if (options.keystore !== undefined) return { keystore: options.keystore, passphrase };
  const { keystore, why } = recommendKeystore(env, await readHostFacts());
  if (keystore === 'keychain') return { keystore, passphrase };
  // A passphrase, and a key of the agent, say where as well as the option does.
  if (passphrase) return { keystore: 'file', passphrase };
  if (options.agentKey !== undefined) return { keystore: 'ssh-agent', passphrase };
  if (!canAsk(io)) {
    throw new AppError('keychain_unavailable', why, {
      hint: 'add --keystore file to keep the keys in files of yours, or --keystore ssh-agent',
    });
  }
  await note(io, why);
  const choice = await chooseOne(io, 'where shall the keys of this device rest?', [
    { label: 'in files of yours, behind a passphrase', value: 'passphrase' },
    { label: 'in files of yours, as safe as the account is', value: 'file' },
    ...(env.SSH_AUTH_SOCK ? [{ label: 'in your ssh-agent', value: 'ssh-agent' }] : []),
  ]);
  return choice === 'ssh-agent'
    ? { keystore: 'ssh-agent', passphrase: false }
    : { keystore: 'file', passphrase: choice === 'passphrase' };
}

async function chooseAgentKey({ env, io }: Context, wanted: string | undefined): Promise<string> {
  const { listAgentKeys } = await import('../../client/keystore-ssh-agent.ts');
  const keys = await listAgentKeys(env);
  const matches =
    wanted === undefined ? keys : keys.filter((key) => `${key.line} ${key.comment}`.includes(wanted));
  const [match, ...others] = matches;
  if (match === undefined) {
    throw new AppError('not_found', 'the ssh-agent holds no ed25519 or P-256 key that fits', {
      hint: 'ssh-add -L lists what it holds',
    });
  }
  if (others.length === 0) return match.line;
  const choices = matches.map(({ line, comment }) => ({
    label: `${comment}  ${line.slice(0, 40)}…`,
    value: line,
  }));
  if (canAsk(io)) return chooseOne(io, 'which key is this device?', choices);
  throw new AppError('ambiguous', `${matches.length} keys of the ssh-agent fit`, {
    hint: `add --agent-key with one of: ${matches.map(({ comment }) => comment).join(', ')}`,
  });
}

async function absoluteCa(ca: string): Promise<string> {
  if (ca === 'pinned' || ca === 'system') return ca;
  const { resolve } = await import('node:path');
  return resolve(ca);
}

function oneOf<const T extends string>(
  text: string | undefined,
  allowed: readonly T[],
  flag: string,
): T | undefined {
  const found = allowed.find((value) => value === text);
  if (text !== undefined && found === undefined) {
    throw new AppError('usage', `${flag} cannot be ${text}`, { hint: choiceHint(text, allowed) });
  }
  return found;
}
