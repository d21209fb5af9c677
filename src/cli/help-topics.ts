/**
 * What `oncall help <topic>` says. The same blocks become plain text here and man pages in man-pages.ts, so that the two can't
 * part. Loaded only when a topic is asked for.
 */
import type { TopicName } from './help.ts';

/** A paragraph, words with what they mean, or lines to type. */
export type Block = string | { readonly terms: readonly Term[] } | { readonly lines: readonly string[] };
export type Term = readonly [term: string, words: string];

/** One line about each. */
export const TOPICS: Readonly<Record<TopicName, string>> = {
  'exit-codes': 'what each exit code means',
  environment: 'variables that are read and set',
  files: 'what lies where on this machine',
  scripting: 'runbooks, retries and machines without a person',
  json: 'the output for programs, and its schemas',
  'break-glass': 'when the normal way is too slow, or the broker is away',
  policy: 'how a request is decided, and what to do about a no',
  glossary: 'the words that are used here',
};

const WIDTH = 78;

export const EXIT_CODES: readonly Term[] = [
  ['0', 'done'],
  ['1', 'failure'],
  ['2', 'wrong usage'],
  ['3', 'denied by policy or by an approver'],
  ['4', 'not enrolled, or sign-in needed'],
  ['5', 'broker unreachable'],
  ['6', 'expired, ended or revoked'],
  ['7', 'refused by the target system'],
  ['8', 'approval pending (--no-wait, or the wait timed out)'],
  ['9', 'busy or locked: another operation, a locked keychain'],
  ['125', 'oncall run itself failed; its JSON error says why'],
  ['126', 'oncall run: the command could not be started'],
  ['127', 'oncall run: the command was not found'],
  ['130', 'interrupted (128 and the number of the signal)'],
];

/** Variables that are read. */
export const VARIABLES: readonly Term[] = [
  ['ONCALL_INCIDENT', 'stands in for -i of request, run and connect'],
  ['ONCALL_PROFILE', 'which installation, as --profile'],
  ['ONCALL_HOME', 'a folder of its own for all that is kept here, in place of the XDG folders; absolute'],
  ['ONCALL_AGENT', 'off: neither use nor start the background agent'],
  [
    'ONCALL_PASSPHRASE_FILE',
    'a file with the passphrase of the file keystore, for a machine without a person',
  ],
  ['ONCALL_BROKER_DIR', 'the folder of the broker, for oncall broker'],
  ['ONCALL_DEBUG', '1: where an error came from, on stderr'],
  ['XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME, XDG_RUNTIME_DIR', 'where files go (oncall help files)'],
  ['SSH_AUTH_SOCK', 'the ssh-agent, for the ssh-agent keystore and oncall setup ssh --agent'],
  ['HTTPS_PROXY, NO_PROXY', 'the way to the broker'],
  ['SSL_CERT_FILE', 'further certificates to trust, where ca is system'],
  ['NO_COLOR, FORCE_COLOR, TERM', 'whether there is colour; it never says anything alone'],
];

/** Variables that oncall run and connect set for their child. */
export const SET_VARIABLES: readonly Term[] = [
  ['PGSERVICEFILE, PGPASSFILE, PGHOST, PGPORT, PGUSER, PGDATABASE', 'postgres'],
  ['MARIADB_HOME, MYSQL_HOME', 'mariadb: the folder of a my.cnf'],
  ['REDISCLI_AUTH', 'redis: the one secret in an environment'],
  ['ONCALL_SSH_CONFIG', 'ssh: a configuration for ssh -F, which is put in by itself'],
  ['KUBECONFIG', 'kubernetes'],
  ['AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE', 'aws'],
  ['ONCALL_URL, ONCALL_CERT, ONCALL_KEY, ONCALL_CA', 'x509'],
  ['ONCALL_URL, ONCALL_TOKEN_FILE, ONCALL_CA', 'http'],
  [
    'ONCALL_TOKEN, PGPASSWORD, MYSQL_PWD',
    'the secret itself: oncall credential --format env, and nothing else',
  ],
];

export const FILES: readonly Term[] = [
  ['$XDG_CONFIG_HOME/oncall/config.yaml', 'which broker, who you are; nothing secret'],
  ['$XDG_STATE_HOME/oncall/keys', 'device keys of the file keystore; secret'],
  ['$XDG_STATE_HOME/oncall/credentials', 'sealed credentials'],
  ['$XDG_STATE_HOME/oncall/status.json', 'what oncall status shows; nothing secret'],
  ['$XDG_STATE_HOME/oncall/prompt', 'what a shell shows in its prompt'],
  ['$XDG_STATE_HOME/oncall/audit', "the newest checkpoint of the broker's log, and receipts"],
  ['$XDG_STATE_HOME/oncall/agent.log', 'what the agent has done'],
  ['$XDG_STATE_HOME/oncall/tools', 'what plain tools read after oncall setup; nothing secret'],
  ['$XDG_STATE_HOME/oncall/break-glass', 'packs, sealed, and the signed journal'],
  ['$XDG_CACHE_HOME/oncall/complete', 'names for shell completion'],
  ['$XDG_RUNTIME_DIR/oncall', 'what ssh, psql and others read while you hold access; wiped at its end'],
];

export const topics: Readonly<Record<TopicName, readonly Block[]>> = {
  'exit-codes': [
    'Every command ends with one of these. Scripts should look at them, and at the code of a JSON error; sentences may change.',
    { terms: EXIT_CODES },
    "oncall run and oncall connect return their child's own code; what is ours there is 125 to 127.",
  ],
  environment: [
    'Read:',
    { terms: VARIABLES },
    'Set by oncall run and oncall connect for their child, by the kind of its targets. But for redis they name files. Several targets of a kind share one, or have the name of the resource beside that of the variable (ONCALL_URL_QUERY_TOOL, CACHE_REDISCLI_AUTH).',
    { terms: SET_VARIABLES },
  ],
  files: [
    'Folders are the XDG ones: ~/.config, ~/.local/state, ~/.cache and the runtime folder unless the environment says otherwise; where there is no runtime folder, run/ in the state folder. With ONCALL_HOME all of them are config, state, cache and run in that folder. Another profile has profiles/<name> below each.',
    { terms: FILES },
    'Folders are 0700 and files 0600; what others can write or own is not used.',
  ],
  scripting: [
    'Nothing is asked where stdin or stderr is no terminal: what is missing is named, with exit code 2. The result is on stdout, all else on stderr.',
    'Use access, asked for where it is not held, and give it back:',
    {
      lines: [
        'export ONCALL_INCIDENT=P1-123',
        "oncall run db-replica -- psql -XAtc 'select 1'",
        'oncall release db-replica',
      ],
    },
    'Before a long step, is what is held good for long enough? A local file is read, nobody is asked; exit 0 is yes, 6 is no:',
    { lines: ['oncall status --check db-replica --expires-in 10m || oncall renew db-replica'] },
    'Ask, and wait for people. Exit 8: nobody has answered yet. Typed again, it goes on waiting for the same request, and finds a yes that came meanwhile: nobody is asked twice.',
    { lines: ['oncall request db-replica:write -i P1-123 -r deploy --wait --timeout 5m'] },
    'With --key the answer is kept for a day, a no as well: the same key and the same words get the same request, other words with that key are refused. The id of a pipeline run makes a good one.',
    { lines: ['oncall request db-replica -r deploy --key "$GITHUB_RUN_ID" --json'] },
    'A machine without a person has a device of its own: enrolled once with --keystore file (and --passphrase with ONCALL_PASSPHRASE_FILE), or with --keystore ssh-agent. Policy sees who it is, and can demand a person (presence) for what it must not do alone.',
    { lines: ['oncall enroll "$INVITATION" --keystore file --name ci-runner-1'] },
    'See oncall help exit-codes, oncall help json and oncall help environment.',
  ],
  json: [
    '--json (-o json) makes every result one object on stdout; -o ndjson the same on one line, and an object for each change while something is waited for. On stderr an error is the last object; notes and warnings on the way are objects of a line each (oncall.note/v1, oncall.warning/v1).',
    {
      terms: [
        ['schema', 'oncall.<command>/v1: members may be added under the same version, never taken away'],
        ['names', 'camelCase, with the unit where there is one: durationSeconds'],
        ['times', 'RFC 3339 in UTC, with milliseconds'],
        ['nothing', 'null; a list that is empty is there'],
      ],
    },
    'What a command writes, in a few lines, and as a JSON Schema (2020-12):',
    { lines: ['oncall help json request', 'oncall help json request --schema'] },
    'An error (oncall help json error --schema):',
    {
      terms: [
        ['code', 'what went wrong: denied, not_found, broker_unreachable …; this is what scripts match'],
        ['message, hint', 'for people; they may change'],
        ['exitCode', 'what the command ends with'],
        ['correlationId', "finds the exchange in the broker's log; null where none was asked"],
        ['details', 'where there is more, such as requestId'],
      ],
    },
  ],
  'break-glass': [
    'For when the normal way is too slow, or the broker cannot be reached. It opens little, and everybody hears of it.',
    { lines: ["oncall break-glass db-replica -i P1-123 --reason 'checkout is down'"] },
    'While the broker answers it decides, at once and without an approver, where a rule permits Action::"break-glass". The window is short and the role the narrowest, unless the target says more. The reason is a must. A review opens, and those that the catalogue names are told on several channels.',
    'Without the broker, a pack opens that this device fetched and sealed while all was well. An entry in a signed journal is written first; the broker gets it at the next contact and reconciles it. A no that the broker signed is a no: it is not gone past.',
    'What it cannot do: the owner of a device with a changed client could open a pack without writing the journal. What catches that is what the target itself records.',
    'Afterwards somebody else looks at it: oncall reviews list.',
  ],
  policy: [
    'Nothing is allowed that no rule permits, and a rule that forbids always wins. A request is asked in this order: may this be granted now; if not, may it be asked for, and of whom; else it is refused. Renewing and extending are decided anew, each time.',
    'Rules read facts: your shift, the incident, the device, each with its age. What is not known never helps.',
    {
      lines: [
        'oncall explain db-replica:write -i P1-123  # rules, and what would change it',
        'oncall request db-replica --dry-run        # decided, not recorded',
      ],
    },
    'After a no, from the best to the last: do what the answer says would change it; ask those who answer requests; oncall break-glass, where a rule permits that, which is reviewed.',
    "Rules are Cedar files in policies/ of the broker's folder; oncall broker check validates them.",
  ],
  glossary: [
    {
      terms: [
        ['resource', 'a thing to reach: a database, a host group, a cluster, a cloud account'],
        ['role', 'the level of access on a resource; typed db-replica:write'],
        ['bundle', 'a set of targets that one request opens together'],
        ['incident', 'an open event in the paging system, or one declared by hand'],
        ['shift', 'when somebody is on call on a schedule, and at which level'],
        ['request', 'what was asked: pending, then granted, denied, cancelled or expired'],
        ['grant', 'permission for one person on one target: ready, active, then ended'],
        ['session window', 'how long a grant is good: from the yes, extendable to a hard end'],
        ['credential', 'what a tool logs in with: minutes long, renewed in the background'],
        ['renewal', 'a credential that is usable longer'],
        ['extension', 'a longer session window'],
        ['approval chain', 'who is asked, in stages, and what follows when nobody answers'],
        ['break-glass', 'the way past all that, reviewed afterwards (oncall help break-glass)'],
        ['pack', 'narrow authority for break-glass, sealed to a device while all is well'],
        ['journal', 'the signed local record of what break-glass opened'],
        ['receipt', "the broker's signed promise that something is in the audit log"],
        ['fact', 'what a decision rests on, with its source and age'],
        ['profile', 'one installation of several, such as staging'],
      ],
    },
  ],
};

export function topicHelp(name: TopicName): string {
  return `${topics[name].map(blockText).join('\n\n')}\n`;
}

function blockText(block: Block): string {
  if (typeof block === 'string') return wrap(block, WIDTH).join('\n');
  if ('lines' in block) return block.lines.map((line) => `  ${line}`).join('\n');
  return termLines(block.terms).join('\n');
}

/** Terms that are long have their words below them. */
export function termLines(terms: readonly Term[]): string[] {
  const longest = Math.max(...terms.map(([term]) => term.length));
  const column = Math.min(longest, 24) + 4;
  return terms.flatMap(([term, words]) => {
    const lines = wrap(words, WIDTH - column).map((line) => `${' '.repeat(column)}${line}`);
    const head = `  ${term}`;
    if (head.length > column - 2) return [head, ...lines];
    return lines.map((line, index) => (index === 0 ? `${head.padEnd(column)}${line.trimStart()}` : line));
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
