/**
 * What a server's admin runs to bring a Redis target in. redis-cli takes the ACL lines as they stand, more than once if need
 * be; the two passwords are the only things to fill in.
 */
import type { RedisSettings } from '../catalogue/targets/redis.ts';
import type { Resource } from '../catalogue/types.ts';
import { writeFile } from './guide-text.ts';
import type { TargetGuide } from './issuer.ts';
import { redisSettings } from './redis-connection.ts';
import { KEY_PREFIX } from './redis-login.ts';
import {
  cliOptions,
  REAPED_KEY,
  REAPER_USER,
  type ReaperFiles,
  reaperScript,
  reaperService,
  reaperTimer,
} from './redis-reaper.ts';

const BROKER_RIGHTS = [
  ...['acl|setuser', 'acl|deluser', 'acl|getuser', 'acl|users', 'acl|list', 'acl|save', 'acl|dryrun'],
  ...['client|kill', 'client|list', 'time', 'watch', 'multi', 'exec', 'set', 'get', 'del'],
];
const REAPER_RIGHTS = ['acl|list', 'acl|deluser', 'acl|save', 'time', 'set'];

export function redisGuide(resource: Resource): TargetGuide {
  const settings = redisSettings(resource);
  const { host, port } = settings;
  const unit = `oncall-redis-${resource.id}`;
  const files = filesOf(resource.id, settings);
  return {
    steps: [
      {
        title: `the broker's user, who may make users and so is as good as an administrator, and the reaper's, who may only drop them`,
        where: `redis-cli, as an administrator, on ${host}:${port} (Redis 7 or newer, or Valkey)`,
        text: [fixes.brokerUser(settings), fixes.reaperUser(), 'ACL SAVE'].join('\n'),
      },
      {
        title:
          'the reaper: Redis knows no date for users, so a timer drops those whose time is over, broker or no broker',
        where: `a root shell on ${host}`,
        text: [
          'install -d -m 700 /etc/oncall',
          `install -m 600 /dev/null ${files.secret}`,
          writeFile(files.secret, 'CHANGE-ME-TOO\n'),
          ...(files.ca === undefined ? [] : [`# put the certificate of the server's CA into ${files.ca}`]),
          writeFile(files.script, reaperScript(settings, files)),
          `chmod 755 ${files.script}`,
          writeFile(`/etc/systemd/system/${unit}.service`, reaperService(files.script)),
          writeFile(`/etc/systemd/system/${unit}.timer`, reaperTimer()),
          'systemctl daemon-reload',
          `systemctl enable --now ${unit}.timer`,
        ].join('\n'),
      },
      {
        title:
          'an ACL file, so that a user who was removed stays removed after a restart (unless there is one already)',
        where: `a root shell on ${host}; then take "user" and "requirepass" lines out of redis.conf and restart Redis`,
        text: [
          // With the users as they are: an empty file would let the default user in without a password.
          'install -o redis -g redis -m 600 /dev/null /etc/redis/users.acl',
          `redis-cli ${cliOptions(settings, files)} --askpass -e ACL LIST > /etc/redis/users.acl &&`,
          "  echo 'aclfile /etc/redis/users.acl' >> /etc/redis/redis.conf",
        ].join('\n'),
      },
      { title: 'prove it', where: "the broker's host", text: `oncall broker target ${resource.id} --check` },
    ],
  };
}

function filesOf(id: string, { caFile }: RedisSettings): ReaperFiles {
  return {
    script: `/usr/local/sbin/oncall-redis-${id}`,
    secret: `/etc/oncall/redis-${id}.secret`,
    ca: caFile === undefined ? undefined : `/etc/oncall/redis-${id}-ca.pem`,
  };
}

/** One line for each requirement that a check can find missing. */
export const fixes = {
  brokerUser: ({ broker }: RedisSettings) =>
    `ACL SETUSER ${broker.user} reset on >CHANGE-ME resetchannels ~${KEY_PREFIX}* ${rights(BROKER_RIGHTS)}`,
  reaperUser: () =>
    `ACL SETUSER ${REAPER_USER} reset on >CHANGE-ME-TOO resetchannels ~${REAPED_KEY} ${rights(REAPER_RIGHTS)}`,
  defaultUser: () =>
    'ACL SETUSER default resetpass >CHANGE-ME   # or: ACL SETUSER default off; then ACL SAVE',
  aclFile: () => 'aclfile /etc/redis/users.acl   # in redis.conf, as the guide says',
};

function rights(commands: readonly string[]): string {
  return commands.map((command) => `+${command}`).join(' ');
}
