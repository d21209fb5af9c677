/**
 * The ACL rules that a role may have, word by word: what Redis's `ACL SETUSER` takes, less what would let a login change
 * itself, others or the server, and so outlive its end. `oncall broker target --check` asks the server itself as well.
 */

const COMMAND = /^[+-](@[a-z]{1,40}|[a-z0-9._-]{1,60}(\|[a-z0-9._-]{1,60})?)$/;
/** Visible ASCII without parentheses, which would open or close a selector. */
const PATTERN = /^(%R|%W|%RW)?~[!-'*-~]{1,200}$/;
const CHANNEL = /^&[!-'*-~]{1,200}$/;

/** Commands by which a login makes others, reaches the server's files, or leaves code or copies behind. */
const BEYOND = [
  ...[
    'acl',
    'bgrewriteaof',
    'bgsave',
    'cluster',
    'config',
    'debug',
    'failover',
    'function',
    'migrate',
    'module',
  ],
  ...['monitor', 'psync', 'replconf', 'replicaof', 'save', 'script', 'shutdown', 'slaveof', 'swapdb', 'sync'],
];
const BEYOND_CATEGORIES = ['@admin', '@dangerous'];

export function isAclRule(text: string): boolean {
  return COMMAND.test(text) || PATTERN.test(text) || CHANNEL.test(text);
}

/** The first rule that gives more than plain rights; undefined where none does. Rules count in order, the last one wins. */
export function ruleBeyond(rules: readonly string[]): string | undefined {
  const takenAfter = (index: number, name: string) => rules.slice(index + 1).includes(`-${name}`);
  return rules.find((rule, index) => {
    if (!rule.startsWith('+')) return false;
    const [name = ''] = rule.slice(1).split('|');
    if (name === '@all') return !BEYOND_CATEGORIES.every((category) => takenAfter(index, category));
    if (name === '@scripting') return !takenAfter(index, 'function');
    return BEYOND_CATEGORIES.includes(name) || BEYOND.includes(name);
  });
}
