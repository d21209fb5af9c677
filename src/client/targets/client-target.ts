/**
 * What the engineer's machine knows of one kind of target: which secret is made for a credential, which files tools read, and
 * what their environment gets. Everything in a public part comes from outside and is checked before a file holds it.
 */
import type { TargetKind } from '../../protocol/target-kinds.ts';
import type { KeyMaterial, PublicPart } from '../../protocol/targets/kinds.ts';
import type { ClientConfig } from '../config.ts';
import type { HeldCredential } from '../credentials.ts';
import type { ClientPaths, Environment } from '../paths.ts';
import type { CredentialSecret } from './kinds.ts';

export type PartOf<K extends TargetKind> = Extract<PublicPart, { kind: K }>;
export type SecretOf<K extends TargetKind> = Extract<CredentialSecret, { kind: K }>;

/** A credential of one kind. Secret. */
export interface Held<K extends TargetKind> extends HeldCredential {
  readonly publicPart: PartOf<K>;
  readonly secret: SecretOf<K>;
}

/** Opens what the broker sealed to this device for this credential. Throws AppError `corrupt_file`. */
export type Unseal = (sealed: string) => Promise<Uint8Array>;

export interface Material<K extends TargetKind> {
  /** What the broker gets. */
  readonly material: Extract<KeyMaterial, { kind: K }>;
  /** The secret, once the broker has answered. */
  readonly secretFor: (part: PartOf<K>, unseal: Unseal) => Promise<SecretOf<K>>;
}

/** How the vendor's own sign-in is reached. */
export interface ConsoleOptions {
  /** Whose certificates are believed: nobody's pinned key, but a company's CA where one is configured. */
  readonly trust: Pick<ClientConfig, 'ca' | 'identityCertificate'>;
  readonly env: Environment;
  readonly now: () => number;
  readonly signal: AbortSignal | undefined;
}

/** A program and its arguments. */
export type Command = readonly [string, ...string[]];

/** What this device has held: enough to say how to get it again. All of it are names (protocol/names.ts). */
export interface KnownTarget {
  readonly kind: TargetKind;
  readonly resource: string;
  readonly role: string;
  /** What the tool calls it besides: hosts. */
  readonly names: readonly string[];
}

export interface ToolFilesInput {
  readonly paths: ClientPaths;
  /** The joined file of that name as it is now, and '' where there is none. */
  readonly joined: (name: string) => string;
  /** Of this kind, in order of their names. */
  readonly known: readonly KnownTarget[];
}

export interface ClientTarget<K extends TargetKind> {
  /** Begins to load what {@link createMaterial} needs. For the commonest kinds alone: it is loaded whatever was asked for. */
  prepare?(): void;
  createMaterial(): Promise<Material<K>>;
  /** For a kind whose renewals keep the secret of the credential before; the others make a new one each time. */
  reuse?(secret: SecretOf<K>): Material<K>;
  /** By name, in the grant's own folder: what tools read. Throws AppError `corrupt_file` for a value that no file can hold safely. */
  files(credential: Held<K>, folder: string): Readonly<Record<string, string>>;
  /** Those of the files that are also joined over all grants, newest first, in the run folder itself. */
  readonly joined: readonly string[];
  /** How the parts of a joined file, newest first, become one; one after the other unless given: most tools take the first match. Empty text: no file. */
  join?(parts: readonly string[]): string;
  /** What the tool itself calls what this opens, where that is not the resource's name. */
  toolNames?(part: PartOf<K>): readonly string[];
  /**
   * By name, in the tools folder: what plain tools read after `oncall setup`. Made anew whenever the files of a grant change, so
   * it tells how to get access where none lives. Never a secret: these files stay. Throws AppError for a path no file can hold.
   */
  toolFiles?(input: ToolFilesInput): Readonly<Record<string, string>>;
  /** What a tool's environment gets for these, at least one. Without secrets, unless the tool reads them from nowhere else. */
  environment(paths: ClientPaths, credentials: readonly Held<K>[]): Readonly<Record<string, string>>;
  /** The command that `oncall run` starts, for tools that are told by arguments alone where to go. Never a secret. */
  adaptCommand?(command: Command, paths: ClientPaths, credentials: readonly Held<K>[]): Command;
  /** What `oncall credential --format env` adds: the secret itself. */
  secretEnvironment(secret: SecretOf<K>): Readonly<Record<string, string>>;
  /** Formats of `oncall credential`, besides `env` and `json`: which of the files each prints. */
  readonly formats: Readonly<Record<string, string>>;
  /**
   * For tools that ask at each of their calls: until when what a format printed can be printed again, by this machine's clock in
   * milliseconds since 1970. Absent: the broker is asked each time.
   */
  goodUntilMs?(text: string): number;
  /** The last word on what a format prints, for a tool that says in its environment what it wants. Throws AppError `usage`. */
  answer?(format: string, text: string, env: Environment): string;
  /** The format where none is asked for. */
  readonly usualFormat: string;
  /** The client that people open it with, at one of its {@link toolNames} where it has several: what `oncall connect` starts. */
  tool(part: PartOf<K>, place?: string): Command;
  /** For a kind that has one: the web console of the target. */
  readonly console?: {
    /** When a session that is opened with this credential ends by itself, whatever is done here. */
    endsAt(part: PartOf<K>): string;
    /** A link that signs a browser in. Secret: whoever has it is that person. */
    open(credential: Held<K>, options: ConsoleOptions): Promise<string>;
  };
}
