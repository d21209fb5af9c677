/** What the agent is told on its command line. Small, and read before anything else is loaded. */
export interface AgentArguments {
  readonly profile: string | undefined;
  /** Goes on when there is nothing to keep: for systemd and launchd, which would only start it again. */
  readonly stays: boolean;
  /** Started by a command, which hands over lock and keys. */
  readonly isHanded: boolean;
}

/** `agent`, and nothing but what it takes. Undefined for anything else: the command line knows what is wrong with it. */
export function readAgentArguments(argv: readonly string[]): AgentArguments | undefined {
  let profile: string | undefined;
  let isNamed = false;
  const flags = new Set<string>();
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? '';
    if (word === '--profile') profile = argv[++index] ?? '';
    else if (word.startsWith('--profile=')) profile = word.slice('--profile='.length);
    else if (word === '--stay' || word === '--handed') flags.add(word);
    else if (word === 'agent' && !isNamed) isNamed = true;
    else return undefined;
  }
  if (!isNamed || profile === '') return undefined;
  return { profile, stays: flags.has('--stay'), isHanded: flags.has('--handed') };
}
