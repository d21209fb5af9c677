/**
 * What drops Redis users at the target whose time is over, should no broker have done it: a script, and the systemd units
 * that run it. Its login may remove users and read their list, but makes none.
 */
import type { RedisSettings } from '../catalogue/targets/redis.ts';
import { HANDLE_PATTERN } from './login-names.ts';
import { KEY_PREFIX } from './redis-login.ts';
import { HARDENING } from './systemd-hardening.ts';

export const REAPER_USER = 'oncall_reaper';
/** Where the script leaves the server's time of its last run, in seconds; gone when it has not run for a while. */
export const REAPED_KEY = `${KEY_PREFIX}reaped`;
const REAP_SECONDS = 15;
const REAPED_SECONDS = 120;

export interface ReaperFiles {
  script: string;
  secret: string;
  /** The CA's certificate, on the target's host; undefined where the system's are used, or no TLS. */
  ca: string | undefined;
}

/** How redis-cli gets to the server from the server's own host. */
export function cliOptions({ host, port, tls }: RedisSettings, { ca }: ReaperFiles): string {
  const options = [`-h ${host}`, `-p ${port}`];
  if (tls) options.push('--tls', ...(ca === undefined ? [] : [`--cacert ${ca}`]));
  return options.join(' ');
}

/** POSIX sh. Ends with 0 if nobody is left whose time is over. */
export function reaperScript(settings: RedisSettings, files: ReaperFiles): string {
  const name = HANDLE_PATTERN.slice(1, -1);
  return `#!/bin/sh
# Drops the Redis users of oncall whose time is over. Each carries its date in a selector that gives no right; one of our
# names without a date is dropped too. The broker does the same in time: this is for when it cannot.
set -eu
umask 077
export LC_ALL=C
REDISCLI_AUTH=$(cat '${files.secret}')
export REDISCLI_AUTH

redis() {
  redis-cli ${cliOptions(settings, files)} --user ${REAPER_USER} --no-auth-warning -e "$@" < /dev/null
}
fail() {
  echo "oncall-redis-reaper: $1" >&2
  exit 1
}

seconds=$(redis TIME | head -n 1) || fail 'the server does not answer'
case $seconds in '' | *[!0-9]*) fail 'the server does not say the time' ;; esac
users=$(redis ACL LIST) || fail 'the server does not list its users'
dates=$(printf '%s\\n' "$users" | sed -nE \\
  -e 's/^user (${name}) .*\\(~${KEY_PREFIX}until=([0-9]{1,15}):.*$/\\1 \\2/p' -e t \\
  -e 's/^user (${name}) .*$/\\1 0/p')
over=$(printf '%s\\n' "$dates" | while read -r name date; do
  if test -n "$name" && test "$date" -le "\${seconds}000"; then echo "$name"; fi
done)
if test -n "$over"; then
  # shellcheck disable=SC2086 # names without spaces, by the pattern above
  redis ACL DELUSER $over > /dev/null || fail 'the server does not drop them'
  # Or they would be back after a restart. Without an ACL file there is nothing to save.
  saved=$(redis ACL SAVE 2>&1) || case $saved in *'not configured'*) ;; *) fail "$saved" ;; esac
fi
# For \`oncall broker target --check\`; a server that takes no writes just now is none the worse for it.
redis SET ${REAPED_KEY} "$seconds" EX ${REAPED_SECONDS} > /dev/null 2>&1 || true
`;
}

export function reaperService(script: string): string {
  return `[Unit]
Description=Drop the Redis users of oncall whose time is over
After=network-online.target redis-server.service redis.service

[Service]
Type=oneshot
ExecStart=${script}
TimeoutStartSec=30
UMask=0077
${HARDENING}
`;
}

export function reaperTimer(): string {
  return `[Unit]
Description=Drop the Redis users of oncall whose time is over, every ${REAP_SECONDS} seconds

[Timer]
OnBootSec=${REAP_SECONDS}s
OnUnitActiveSec=${REAP_SECONDS}s
AccuracySec=1s

[Install]
WantedBy=timers.target
`;
}
